"""Secrets and hostile texts that occur nowhere else, and the search for them.

Each has a mark of letters and digits only, which no escaping, quoting or encoding changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines_tests.support.backends import Backend

SECRETS = {
    name: f"canary{number}Secret"
    for number, name in enumerate(
        (
            "password", "encoded", "sslpassword", "options", "PGPASSWORD", "passfile", "alert",
            "heartbeat", "dagster", "pasted",
        )
    )
}  # fmt: skip
"""Where a secret is put -> the secret."""

_FORMS = (
    "{}", "{}\nINFO forged line", "{}\r\n\r\n<b>", "\x1b[31m{}\x1b[0m", "\x1b]0;{}\x07",
    "\x1b[2J{}", "**{}** [x](http://evil.example/{})", "[{}](javascript:alert(1))",
    "![{}](http://evil.example/p.png)", "<script>alert('{}')</script>",
    "<img src=x onerror=alert('{}')>", "\"><svg onload='{}'>", "javascript:{}", "\u202e{}\u202c",
    "\u2066{}\u2069", "\u200b{}\ufeff", "\\u0000{}\\x00", "%00{}%0a", '"}}, {{"x": "{}"', "\\{}\\",
    "'; DROP TABLE logs; --{}", "=cmd|'/c {}'!A1", "+{}", "-{}", "@SUM({})", "\t={}",
    "{}" + "x" * 20_000, "{{{{ {} }}}}", "${{jndi:ldap://{}}}", "%s%n{}\u0085\u2028\U0001f600",
)  # fmt: skip
TEXTS = [form.format(*[f"nasty{n:02}Text"] * 2) for n, form in enumerate(_FORMS)]
"""Thirty of them."""

MARKS = [*SECRETS.values(), "".join(f"%{ord(c):02x}" for c in SECRETS["encoded"]), "nasty",
         "ann\x1b", "db\nINFO"]  # fmt: skip
"""Nobody may find one of them; the last two are names of a URL that a terminal would obey."""

OWN_CODE = '''"""A rule and a transform of one's own that crash with what is in a row."""


def rule(message):
    raise KeyError(message.iloc[0])


def transform(batch, params):
    raise ValueError(batch["message"].to_pylist())
'''


def plant(backend: Backend, good: str, held: str) -> None:
    """A table `logs` with a text key: a day that is published and a day that is held.

    Every hostile text is in every column that takes text, in valid rows and in rejected ones.
    """
    backend.run("ALTER TABLE logs ALTER COLUMN id TYPE text")
    backend.add_logs(good, 6_000)
    for day in (good, held):
        for text in TEXTS:
            valid = ("INFO", text, text, text, "10.0.0.1")
            ways = [valid, (text, *valid[1:]), (*valid[:4], text)][:: 1 if day == held else 2]
            for way, (level, message, source, device, ip) in enumerate(ways):
                attributes = json.dumps({text: [text, {"a": text}]})
                backend.run(
                    "INSERT INTO logs (id, timestamp, level, message, source, device, ip, "
                    "attributes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb)",
                    [f"{day}{way}{text}", f"{day}T12:00:00Z", level, message, source, device, ip,
                     attributes],
                )  # fmt: skip


def with_secrets(url: str, passfile: Path) -> str:
    """A URL of the same database with a secret wherever one can be."""
    passfile.write_text(f"*:*:*:*:{SECRETS['passfile']}\n")
    passfile.chmod(0o600)
    url = url.replace("postgres@", f"postgres:{SECRETS['password']}@", 1)
    options = f"options=-c%20application_name%3D{SECRETS['options']}"
    query = f"sslpassword={SECRETS['sslpassword']}&passfile={passfile}&{options}"
    return f"{url}{'&' if '?' in url else '?'}{query}"


def places(project: Path, output: Path) -> Iterator[tuple[str, str]]:
    """(name, content) of everything on disk that may hold neither a secret nor a row."""
    for root in (project / ".dagster", output):
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and not _holds_rows(path, output):
                yield str(path), path.read_bytes().decode(errors="replace")
                if path.suffix == ".db":
                    yield f"{path} (values)", values_of(path)


def hits(content: str) -> list[str]:
    """Marks in a content, each with what is around it."""
    return [
        f"{mark}: {content[max(0, at - 60) : at + 60]!r}"
        for mark in MARKS
        if (at := content.find(mark)) >= 0
    ]


def _holds_rows(path: Path, output: Path) -> bool:
    """Data files and rejected rows, wherever they lie; never a manifest."""
    parts = path.relative_to(output).parts if path.is_relative_to(output) else ()
    homes = {"data", "quarantine", ".superseded"}
    return len(parts) > 2 and parts[1] in homes and path.name != MANIFEST_NAME


def values_of(path: Path) -> str:
    """Of all tables of a SQLite file; a long value lies there in pieces."""
    found = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                found += [
                    v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in row
                ]
    return "\n".join(found)
