"""What a privacy policy costs: CPU time of a real export of one day, with and without one.

The stage is measured by the clock of its own thread, since others read and write meanwhile. The
day's first reading and the check run alone, so their CPU time is that of the process.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from exporter_pipelines.engine import export_day
from exporter_pipelines.engine.private_rows import PrivateRows
from exporter_pipelines.privacy.masking import Masking
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


def run(count: int, rounds: int) -> None:
    """Measure and print the medians of some rounds."""
    os.environ[KEY_NAME] = KEY
    stage, names, check = _Clock(own_cpu_s), _Clock(time.process_time), _Clock(time.process_time)
    stage.measure(Masking, "collect")
    stage.measure(PrivateRows, "mask")
    stage.measure(PrivateRows, "rest")
    stage.measure(PrivateRows, "rejected")
    names.measure(PrivateRows, "_read_names")
    check.measure(export_day, "judge_leaks")
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_logs(Path(folder) / "logs.db", rows_of_a_day(count))
        for number in range(rounds + 1):
            for name, changes in (("without", {}), ("with", {"privacy": POLICY})):
                for clock in (stage, names, check):
                    clock.used = 0
                store, began = LocalStore(Path(folder) / f"{name}-{number}"), time.process_time()
                manifest = export(url, dataset(**changes), DAY, store)
                found[name].append(time.process_time() - began)
                assert manifest.record_count == count
            for what, clock in (("stage", stage), ("names", names), ("check", check)):
                found[what].append(clock.used)
    _print({name: values[1:] for name, values in found.items()}, count)


def _print(found: dict[str, list[float]], count: int) -> None:
    """Print medians; the first round was a warm-up and is not among them."""
    ratios = [a / b for a, b in zip(found["with"], found["without"], strict=True)]
    for what, name in (
        ("export without a policy", "without"),
        ("export with policy and check", "with"),
        ("the stage: names, masks, order", "stage"),
        ("reading the day before", "names"),
        ("the check no_raw_identifiers", "check"),
    ):
        seconds = statistics.median(found[name])
        sys.stdout.write(f"{what:32} {seconds:6.2f} CPU-s {count / seconds:10,.0f} rows/CPU-s\n")
    sys.stdout.write(
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})\n"
    )


class _Clock:
    """Adds up the CPU time of some methods.

    Args:
        now: CPU time so far, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.used = 0.0
        self._now = now
        self._is_running = False

    def measure(self, owner: Any, name: str) -> None:
        """Measure a method from now on, with the generator that it returns, if it does."""
        function = getattr(owner, name)

        def measured(*args: Any) -> Any:
            if self._is_running:  # called by another measured one
                return function(*args)
            self._is_running, began = True, self._now()
            try:
                result = function(*args)
                return list(result) if isinstance(result, Iterator) else result
            finally:
                self._is_running = False
                self.used += self._now() - began

        setattr(owner, name, measured)


def own_cpu_s() -> float:
    """CPU time of this thread and of Polars' threads, which work for nobody else."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that ended
            if (task / "comm").read_text().startswith("polars"):
                total += int((task / "schedstat").read_text().split()[0])
    return time.thread_time() + total / 1e9
