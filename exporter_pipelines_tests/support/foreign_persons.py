"""A table of somebody else's backend with personal data under names of its own."""

from __future__ import annotations

import random
from typing import Any

from exporter_pipelines_tests.support.databases import Database, PostgresDatabase

DAY = "2026-11-01"
TABLE = "AuditTrail"
ROWS = 300

_USERS = ("anna.kohl", "ivan_petrov", "li-wei", "Jürgen.Müller", "jenkins")
_HOSTS = ("ws-berlin-01", "ws-berlin-02", "nas07", "10.9.8.7")
RAW = [
    *(name.lower() for name in _USERS[:4]), *_HOSTS, "10.1.", "2001:db8:", "firma.test",
    "aa:bb:cc:", "aabbcc", "hunter", "sess-", "tok-", "+49 170", "geheim",
]  # fmt: skip
"""Parts of raw values, in lower case; no column has any of them for another reason."""

_COLUMNS = {
    "entryNo": "int64 PRIMARY KEY", "recordedAt": "timestamp NOT NULL", "Benutzer": "string",
    "workstation": "string", "remote_addr": "address", "contact_mail": "string",
    "hwaddr": "string", "Bemerkung": "string", "payload": "json", "severity": "string",
    "program": "string", "sessionId": "string", "api_token": "string", "mobile": "string",
    "lat": "float64", "bytes": "int64", "user_id": "int64", "select": "string", "vacant": "string",
}  # fmt: skip


def fill(database: Database) -> None:
    """Create the table with one day of rows."""
    columns = ", ".join(_declared(database, *item) for item in _COLUMNS.items())
    database.run(f'CREATE TABLE "{TABLE}" ({columns})')
    chance = random.Random(3)
    quoted = f'"{TABLE}"' if isinstance(database, PostgresDatabase) else TABLE
    database.add(quoted, *(_row(number, chance) for number in range(ROWS)))


def _declared(database: Database, name: str, declared: str) -> str:
    kind, _, constraint = declared.partition(" ")
    type_ = "JSON" if kind == "json" and database.types["json"] == "TEXT" else database.types[kind]
    return f'"{name}" {type_} {constraint}'


def _row(number: int, chance: random.Random) -> dict[str, Any]:
    user, host = chance.choice(_USERS), chance.choice(_HOSTS)
    address = chance.choice([f"10.1.{number % 7}.{number % 200}", f"2001:db8::{number + 1:x}"])
    mail = f"{user.lower().replace('ü', 'ue')}@firma.test"
    mac = f"aa:bb:cc:00:00:{number % 90 + 10}"
    text = chance.choice([
        f"{user} logged in from {address}", f"mail to {mail} via {host}, password=hunter{number}",
        f"[{address}]:443 std::vector 12:34:56", "nothing of interest here", f"{user}\n{host}",
    ])  # fmt: skip
    document = {
        "userName": user, "session": {"token": f"tok-{number}", "peer": host, "pwd": "geheim"},
        mail: [address, mac.replace(":", "").upper()], "ok": True, "hwaddr": mac.replace(":", ""),
        "n": number,
    }  # fmt: skip
    return {
        "entryNo": number + 1, "recordedAt": f"{DAY}T{number // 60:02}:{number % 60:02}:00Z",
        "Benutzer": user, "workstation": host, "remote_addr": address, "contact_mail": mail,
        "hwaddr": mac, "Bemerkung": text, "payload": document,
        "severity": chance.choice(["low", "high"]),
        "program": chance.choice(["sshd", "cron", "jenkins"]), "sessionId": f"sess-{number:06}x",
        "api_token": f"tok-{number}", "mobile": f"+49 170 {number:07}", "lat": 52.5 + number / 1e3,
        "bytes": number * 100, "user_id": 5000 + number % 9, "select": f"word{number} {user}",
        "vacant": None,
    }  # fmt: skip
