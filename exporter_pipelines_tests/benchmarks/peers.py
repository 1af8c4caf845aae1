"""Others that get rows out of PostgreSQL or SQLite as JSON, in a virtual environment of their own.

They are no dependency of the project: what they need would not fit beside it (DuckDB's
PostgreSQL extension exists as a package for one version only). Versions are pinned.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPTS = Path(__file__).parent / "peer_scripts"


@dataclass(frozen=True)
class _Known:
    """A peer before it is installed: its script, packages, and the one whose version counts."""

    name: str
    format: str
    script: str
    packages: tuple[str, ...]


_OF_POSTGRES = (
    _Known(
        "dlt, connectorx", "jsonl", "dlt_jsonl.py",
        ("dlt[sql_database]==1.31.0", "connectorx==0.4.6", "pyarrow==26.0.1",
         "psycopg2-binary==2.9.13", "sqlalchemy==2.0.58"),
    ),
    _Known(
        "DuckDB, postgres scanner", "jsonl", "duckdb_json.py",
        ("duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"),
    ),
    _Known(
        "pandas, read_sql and to_json", "jsonl", "pandas_json.py",
        ("pandas==3.1.1", "psycopg[binary]==3.3.9", "sqlalchemy==2.0.58"),
    ),
)  # fmt: skip
OF_SQLITE = (
    _Known(
        "DuckDB, sqlite scanner", "jsonl", "duckdb_sqlite_json.py",
        ("duckdb==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """An installed peer.

    Attributes:
        name, format, version: For the table.
        command: To be followed by URL, SELECT and output folder.
    """

    name: str
    format: str
    version: str
    command: list[str | Path]


def installed(home: Path, peers: Sequence[_Known] = _OF_POSTGRES) -> list[Peer]:
    """The peers that can be installed below `home`; a reason is printed for each that cannot."""
    folder = home / "venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    found = []
    for known in peers:
        if reason := _install(python, known.packages):
            sys.stdout.write(f"Left out: {known.name} cannot be installed ({reason}).\n")
            continue
        version = known.packages[0].replace("[sql_database]", "").replace("==", " ")
        command: list[str | Path] = [python, _SCRIPTS / known.script]
        found.append(Peer(known.name, known.format, version, command))
    return found


def _install(python: Path, packages: tuple[str, ...]) -> str:
    """Install packages; the last line of what pip says if it fails."""
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stderr.strip().splitlines() or ["no reason given"]
    return said[-1] if done.returncode else ""
