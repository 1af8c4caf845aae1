"""The sample backend: fourteen days of logs, anomalies and IP records, some invalid on purpose.

Deterministic: the same rows on every machine. `STORY` describes what the exports contain, and a
test checks it.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from typing import Any

import psycopg

from exporter_pipelines.demo.attacks import attacks

FIRST_DAY = dt.date(2026, 11, 1)
DAYS = 14
EMPTY_DAY = dt.date(2026, 11, 8)
HELD_DAY = dt.date(2026, 11, 11)

_FIRST_ID_OF_ATTACKS = 100_001

STORY = (
    f"{EMPTY_DAY}: the backend was down; no rows at all, which is not the same as not exported.",
    f"{HELD_DAY}: a broken release logged unknown levels and empty messages; the day of logs is "
    "held.",
    "Every other day has a few rows that are rejected: missing messages, unknown levels, host "
    "names where addresses belong, scores above 1, infinite or NaN.",
    "Every other day has bursts of failed logins on each device, and an anomaly for each burst: "
    "what the training set `failed_logins` is about.",
)

_TABLES = """
CREATE TABLE logs (
    id bigint NOT NULL, timestamp timestamptz NOT NULL, level text, message text, source text,
    device text, ip text, attributes jsonb);
CREATE TABLE anomalies (
    id uuid PRIMARY KEY, timestamp timestamptz NOT NULL, type text NOT NULL,
    score double precision, severity text, status text, log_id bigint, ip inet, details jsonb);
CREATE TABLE ip_addresses (
    id bigint PRIMARY KEY, address inet NOT NULL UNIQUE, first_seen timestamptz,
    last_seen timestamptz NOT NULL, risk_score numeric(6, 2), country text, labels text[]);
CREATE INDEX logs_timestamp ON logs (timestamp);
CREATE INDEX anomalies_timestamp ON anomalies (timestamp);
CREATE INDEX ip_addresses_last_seen ON ip_addresses (last_seen);
"""
_LEVELS = ("info", "INFO", "notice", "debug", "warn", "WARNING", "err", "ERROR", "6", "4", "fatal")
_MESSAGES = (
    "Accepted publickey for deploy from {ip} port {port}",
    "Failed password for invalid user admin from {ip} port {port}",
    'GET /health 200 "curl/8.5" {port} us',
    "Größe der Warteschlange überschritten: {port} Einträge 😀",
    "接続がタイムアウトしました ({ip})",
    "Traceback (most recent call last):\n  File \"app.py\", line {port}\nKeyError: 'user'",
    'tab\there, back\\slash, quote " and NUL-free control \u0001 character',
)
_SOURCES = ("sshd", "nginx", "kernel", "app", "postgres")


def seed_once(url: str) -> bool:
    """Create and fill the tables unless they are there; True when this call did it."""
    with psycopg.connect(url) as connection:
        # Several runs may start the demo at once: one seeds, the others wait.
        connection.execute("SELECT pg_advisory_xact_lock(20261101)")
        if connection.execute("SELECT to_regclass('public.ip_addresses')").fetchone() != (None,):
            return False
        connection.execute(_TABLES)
        chance = random.Random(20261101)  # noqa: S311 - sample data
        found = attacks([day for day in days() if day != EMPTY_DAY], _FIRST_ID_OF_ATTACKS)
        for table, rows in (
            ("logs", _logs(chance)),
            ("anomalies", _anomalies(chance)),
            ("ip_addresses", _ips(chance)),
            ("logs", iter(found.logs)),
            ("anomalies", iter(found.anomalies)),
        ):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    return True


def days() -> list[dt.date]:
    """All days of the sample, in order."""
    return [FIRST_DAY + dt.timedelta(days=number) for number in range(DAYS)]


def _logs(chance: random.Random) -> Iterator[tuple[Any, ...]]:
    number = 0
    for day in days():
        for position in range(0 if day == EMPTY_DAY else 2_000):
            number += 1
            ip, device = _ip(chance), f"edge-{chance.randrange(12):02}"
            level: str | None = chance.choice(_LEVELS)
            message: str | None = chance.choice(_MESSAGES).format(
                ip=ip, port=chance.randrange(1024, 65536)
            )
            if position % 400 == 7:
                level = chance.choice(("??", None))
            if position % 500 == 11:
                message = None
            if position % 700 == 13:
                ip = f"{device}.internal"
            if day == HELD_DAY and position % 3 == 0:
                level, message = "LEVEL_UNSET", None
            repeated = number - 1 if position in (500, 1500) else number
            yield (
                repeated,
                _moment(chance, day, position),
                level,
                message,
                chance.choice(_SOURCES),
                device if position % 4 else None,
                ip if position % 3 else None,
                _attributes(chance, position),
            )


def _anomalies(chance: random.Random) -> Iterator[tuple[Any, ...]]:
    kinds = ("dns_tunnel", "port_scan", "exfiltration", "beaconing")
    odd_scores = {5: 1.7, 17: float("inf"), 29: float("nan"), 41: None}
    for day in days():
        for position in range(0 if day == EMPTY_DAY else 120):
            odd = position in odd_scores and (position + day.day) % 3 > 0
            score = odd_scores[position] if odd else round(chance.random(), 6)
            yield (
                _uuid(chance),
                _moment(chance, day, position),
                chance.choice(kinds),
                score,
                chance.choice(("low", "medium", "high", "critical", None)),
                chance.choice(("new", "confirmed", "false_positive", None)),
                chance.randrange(1, 20_000) if position % 2 else None,
                _ip(chance),
                json.dumps({"window": [position, position + 5], "detector": {"name": "iforest"}}),
            )


def _ips(chance: random.Random) -> Iterator[tuple[Any, ...]]:
    seen: set[str] = set()
    for day in days():
        for position in range(0 if day == EMPTY_DAY else 150):
            while (address := _ip(chance)) in seen:
                continue
            seen.add(address)
            last = _moment(chance, day, position)
            first: dt.datetime | None = last - dt.timedelta(days=chance.randrange(40))
            if position == 77:
                first = last + dt.timedelta(days=1)  # seen before it was seen
            yield (
                len(seen),
                address,
                first,
                last,
                "120.00" if position == 99 else f"{chance.randrange(10_001) / 100:.2f}",
                chance.choice(("DE", "US", "JP", None)),
                ["blocklist", "tör"] if position % 2 else [],
            )


def _moment(chance: random.Random, day: dt.date, position: int) -> dt.datetime:
    """A moment of the day: its very first and last microsecond for the first two positions."""
    start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    last = 86_400_000_000 - 1
    offset = {0: 0, 1: last}.get(position, chance.randrange(last + 1))
    return start + dt.timedelta(microseconds=offset)


def _ip(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return f"2001:db8::{chance.randrange(1, 65536):x}"
    return f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def _attributes(chance: random.Random, position: int) -> str | None:
    if position % 5 == 0:
        return None
    return json.dumps(
        {
            "request": {"id": chance.getrandbits(62), "tags": ["a", {"b": None}]},
            "latency_ms": chance.randrange(1000) / 10,
        }
    )
