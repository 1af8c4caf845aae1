"""What a privacy policy costs: CPU time of a real export of one day, with and without one.

Names are read before, and the check reads the files after the threads that export, so their CPU
time is that of the process meanwhile. Masking is what remains of the difference.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exporter_pipelines.engine import export_day
from exporter_pipelines.engine.private_rows import PrivateRows
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.private_days import (
    DAY,
    KEY,
    KEY_NAME,
    POLICY,
    sqlite_logs,
)

_NAMES = 1_700
_ADDRESSES = 8_000


def rows_of_a_day(count: int) -> list[tuple[Any, ...]]:
    """Log records with 3 to 5 identifiers each: of 1,700 users and hosts, and 8,000 addresses."""
    chance = random.Random(1)
    users = [f"user{n:04}.{chance.choice('abcdef')}" for n in range(_NAMES)]
    hosts = [f"edge-{n:04}" for n in range(_NAMES)]
    addresses = [
        f"10.{chance.randrange(50)}.{chance.randrange(256)}.{chance.randrange(256)}"
        for _ in range(_ADDRESSES)
    ]
    return [_row(chance, users, hosts, addresses) for _ in range(count)]


def _row(
    chance: random.Random, users: list[str], hosts: list[str], addresses: list[str]
) -> tuple[Any, ...]:
    user, host, address = chance.choice(users), chance.choice(hosts), chance.choice(addresses)
    port, other = chance.randrange(65_536), chance.choice(addresses)
    message = chance.choice([
        f"Accepted password for {user} from {address} port {port} ssh2 on {host} std::vector",
        f"connection from {address}:{port} to {other} closed by remote host after 12:34:56",
        f"mail from={user}@example.com relay={host} [2001:db8::{port:x}]:25 status=sent",
        f"link up {host} eth0 speed 1000 full duplex, no error, retry in 30 seconds",
    ])  # fmt: skip
    attributes = {"user": user, "host": host, "src": other, "bytes": port, "path": "/var/log/app"}
    return message, host, address, attributes


def run(count: int) -> None:
    """Measure and print the results."""
    os.environ[KEY_NAME] = KEY
    used: dict[str, float] = {}
    export_day.judge_leaks = _timed(export_day.judge_leaks, used, "check")  # type: ignore[assignment]
    PrivateRows._read_names = _timed(PrivateRows._read_names, used, "names")  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_logs(Path(folder) / "logs.db", rows_of_a_day(count))
        for name, changes in (("warm-up", {}), ("without", {}), ("with", {"privacy": POLICY})):
            store, began = LocalStore(Path(folder) / name), time.process_time()
            manifest = export(url, dataset(**changes), DAY, store)
            used[name] = time.process_time() - began
            assert manifest.record_count == count
    masking = used["with"] - used["without"] - used["check"] - used["names"]
    for what, seconds in (
        ("export without a policy", used["without"]),
        ("export with policy and check", used["with"]),
        ("reading the day for its names", used["names"]),
        ("masking and order", masking),
        ("the check no_raw_identifiers", used["check"]),
    ):
        sys.stdout.write(f"{what:32} {seconds:6.2f} CPU-s {count / seconds:10,.0f} rows/CPU-s\n")
    sys.stdout.write(f"ratio {used['with'] / used['without']:.2f}\n")


def _timed(function: Callable[..., Any], used: dict[str, float], name: str) -> Callable[..., Any]:
    """The same function; its CPU time is noted. Nothing else may work meanwhile."""

    def timed(*args: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args)
        finally:
            used[name] = time.process_time() - began

    return timed
