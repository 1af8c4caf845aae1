"""Bursts of failed logins in the sample backend, and the anomalies that a detector made of them.

A burst has a dozen failed logins for root within two minutes. People mistype their password as
well: once or twice, and then they are in. So the message alone says little, and the number of
failures in a window says a lot.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DEVICES = 12
_BURSTS = 2
_MISTYPED = 5


@dataclass
class Attacks:
    """Rows of the two tables.

    Attributes:
        logs: In the order of their ids.
        anomalies: One per burst; `log_id` is its last failed login.
    """

    logs: list[tuple[Any, ...]] = field(default_factory=list)
    anomalies: list[tuple[Any, ...]] = field(default_factory=list)


def attacks(days: Sequence[dt.date], first_id: int) -> Attacks:
    """The same rows on every machine.

    Args:
        days: That have some.
        first_id: Of the first log record.
    """
    chance, found = random.Random(20261102), Attacks()  # noqa: S311 - sample data
    for day in days:
        for number in range(DEVICES):
            device = f"edge-{number:02}"
            for _ in range(_BURSTS):
                _burst(chance, found, day, device, first_id)
            for _ in range(_MISTYPED):
                _mistyped(chance, found, day, device, first_id)
    return found


def _burst(chance: random.Random, found: Attacks, day: dt.date, device: str, first_id: int) -> None:
    ip = f"203.0.113.{chance.randrange(1, 255)}"
    moment, failures = _moment(chance, day), chance.randrange(9, 16)
    for _ in range(failures):
        moment += dt.timedelta(milliseconds=chance.randrange(2_000, 10_000))
        _log(chance, found, moment, "Failed", device, ip, first_id)
    number = f"{chance.getrandbits(128):032x}"
    found.anomalies.append((
        f"{number[:8]}-{number[8:12]}-4{number[13:16]}-8{number[17:20]}-{number[20:]}",
        moment + dt.timedelta(seconds=20),
        "brute_force",
        round(0.85 + 0.15 * chance.random(), 6),
        chance.choice(("high", "critical")),
        "confirmed",
        first_id + len(found.logs) - 1,
        ip,
        json.dumps({"failed_logins": failures, "detector": {"name": "login_rate"}}),
    ))  # fmt: skip


def _mistyped(
    chance: random.Random, found: Attacks, day: dt.date, device: str, first_id: int
) -> None:
    ip, moment = f"10.0.{chance.randrange(256)}.{chance.randrange(1, 255)}", _moment(chance, day)
    for outcome in chance.choice((("Failed", "Accepted"), ("Failed", "Failed", "Accepted"))):
        moment += dt.timedelta(milliseconds=chance.randrange(3_000, 15_000))
        _log(chance, found, moment, outcome, device, ip, first_id)


def _log(
    chance: random.Random,
    found: Attacks,
    moment: dt.datetime,
    outcome: str,
    device: str,
    ip: str,
    first_id: int,
) -> None:
    message = f"{outcome} password for root from {ip} port {chance.randrange(1024, 65536)} ssh2"
    level = "warn" if outcome == "Failed" else "info"
    number = first_id + len(found.logs)
    found.logs.append((number, moment, level, message, "sshd", device, ip, None))


def _moment(chance: random.Random, day: dt.date) -> dt.datetime:
    """A moment that leaves time for a burst on the same day."""
    start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    return start + dt.timedelta(seconds=chance.randrange(60, 86_000))
