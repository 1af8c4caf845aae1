"""A hostile day of logs, a policy for it, and what must not be in its export."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset

DAY = "2026-11-01"
KEY_NAME = "EXPORTER_PRIVACY_KEY"
KEY = base64.b64encode(bytes(range(7, 39))).decode()
OTHER_KEY = base64.b64encode(bytes(range(107, 139))).decode()

POLICY: dict[str, Any] = {
    "key": KEY_NAME,
    "columns": {
        "ip": {"action": "pseudonym", "kind": "ip"},
        "device": {"action": "pseudonym", "kind": "host"},
        "message": {"action": "scan"},
        "attributes": {
            "action": "scan",
            "keys": {"user": "user", "host": "host", "mail": "email", "password": "redact"},
        },
    },
    "keep": ["id", "level", "source"],
}

# (message, device, ip, attributes). The row whose address is `anna.k` is rejected.
ROWS: list[tuple[str, str | None, str | None, Any]] = [
    ("10.1.2.3:8080 opened by anna.k", "edge-07", "10.1.2.3", {"user": "anna.k"}),
    ("[2001:db8::77]:443 std::vector 12:34:56", "edge-07", "2001:db8::77", {"n": 1.50}),
    ("mac aa:bb:cc:dd:ee:01, AA-BB-CC-DD-EE-01; aabb.ccdd.ee01", None, None, None),
    ("mapped ::ffff:10.1.2.3 and version 1.2.3.4.5", "Edge-07", "::ffff:10.1.2.3", [1, 2]),
    ("mail anna.k@firma.test", None, None, {"anna.k@firma.test": 1, "mail": "anna.k@firma.test"}),
    ("percent anna.k%40firma.test and 10%2E1%2E2%2E3", None, None, {"q": "anna.k%40firma.test"}),
    ("at the end of a line edge-07\nanna.k\n", None, None, {"text": "x\nedge-07\nanna.k\n"}),
    ('quoted {"a": "b\\n10.1.2.3\\u0040"} \\u0061nna.k', None, None, {"t": 'say "anna.k"!'}),
    ("größer: Jürgen.Müller, JÜRGEN.MÜLLER", "gw-münchen", None, {"user": "Jürgen.Müller"}),
    ("https://bob:hunter22@gw-münchen/x password=geheim99 Bearer abcdefghij0123456789",
     None, None, {"password": 'ge"heim', "host": ["web-0001", {"deep": "web-0002"}]}),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl ends", None, "anna.k at 10.1.2.3",
     {"d": {"user": 4711}}),
    ("web-0001 up, web-00019 down, xweb-0002; fe80::aa:1%eth0 fd00::9:error", None, "fd00::9",
     "null"),
]  # fmt: skip

RAW = [
    "10.1.2.3", "2001:db8::77", "aa:bb:cc:dd:ee:01", "aa-bb-cc-dd-ee-01", "aabb.ccdd.ee01",
    "anna.k", "firma.test", "edge-07", "jürgen", "gw-münchen", "hunter22", "geheim99", "ge\\\"heim",
    "abcdefghij0123456789", "eyjhbgcioijiuzi1nij9", "web-0001 ", "fe80::aa:1", "fd00::9", "%40",
    "%2e1",
]  # fmt: skip
"""Texts, in lower case, that no byte of an export may have."""


def private(**changes: Any) -> Dataset:
    """The logs under the policy, with some of its settings and attributes replaced."""
    policy = {**POLICY, **changes.pop("privacy", {})}
    return dataset(privacy=policy, **changes)


def sqlite_logs(file: Path, rows: list[tuple[Any, ...]] | None = None) -> str:
    """URL of a new database with these logs, one per second."""
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE logs (id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, level TEXT,"
            " message TEXT, source TEXT, device TEXT, ip TEXT, attributes TEXT)"
        )
        for number, (message, device, ip, attributes) in enumerate(ROWS if rows is None else rows):
            second = number % 86_400
            time = f"{DAY}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.5Z"
            document = None if attributes is None else json.dumps(attributes, ensure_ascii=False)
            connection.execute(
                "INSERT INTO logs VALUES (?, ?, 'INFO', ?, 'sshd', ?, ?, ?)",
                (number + 1, time, message, device, ip, document),
            )
    connection.close()
    return f"sqlite:///{file}"


def postgres_logs(backend: Backend) -> None:
    """The same rows in the table of a PostgreSQL backend."""
    for number, (message, device, ip, attributes) in enumerate(ROWS):
        document = None if attributes is None else json.dumps(attributes, ensure_ascii=False)
        backend.run(
            "INSERT INTO logs VALUES (%s, %s, 'INFO', %s, 'sshd', %s, %s, %s)",
            [number + 1, f"{DAY}T00:00:{number:02}.5Z", message, device, ip, document],
        )


def everything_below(folder: Path) -> str:
    """All bytes of an output folder as text, unpacked, in lower case."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return "\n".join(unpacked(file.read_bytes()) for file in files)


def unpacked(data: bytes) -> str:
    """The content of a file as text, in lower case."""
    content = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return content.decode("utf-8", "replace").lower()
