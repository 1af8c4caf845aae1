"""Writers move a unit between two rows and insert pairs of rows while days are exported."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rejected, rows
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.SNAPSHOT

DAY = "2026-11-01"
_ACCOUNTS = 2_000
_EACH = 100


def run(trial: Trial) -> None:
    """200 exports; the sum over all rows, and the number of them, tell a torn snapshot."""
    with trial.backend() as backend:
        backend.add_logs(DAY, _ACCOUNTS, message=str(_EACH))
        # The quarantine belongs to the snapshot: some of the accounts break a rule.
        backend.run("UPDATE logs SET level = 'odd' WHERE id % 50 = 0")
        store, logs = LocalStore(trial.folder / "exports"), dataset(max_rejected_pct=100.0)
        with _moving(backend, trial.seed) as moves:
            for number in trial.rounds(200, "exports"):
                batch_rows = trial.dice.choice([100, 1_000, 50_000])
                manifest = export(backend.url, logs, DAY, store, batch_rows=batch_rows)
                found = [*rows(store, manifest), *rejected(store, manifest)]
                total = sum(int(row["message"]) for row in found)
                pairs = len(found) - _ACCOUNTS
                trial.check(
                    total == _ACCOUNTS * _EACH
                    and pairs % 2 == 0
                    and len(found) == manifest.counts.read,
                    f"export {number}: sum {total}, {len(found)} rows of {manifest.counts.read}",
                )
        trial.figures["transactions beside them"] = sum(moves)
        trial.check(sum(moves) > 0, "no writer got to write", points=0)


@contextmanager
def _moving(backend: Backend, seed: int) -> Iterator[list[int]]:
    """Two writers; yields the number of transactions of each."""
    stopped, moves, failures = threading.Event(), [0, 0], []

    def write(writer: int) -> None:
        dice = random.Random(seed + writer)
        try:
            with psycopg.connect(backend.url) as connection:
                while not stopped.is_set():
                    with connection.transaction():
                        _move(connection, dice, 1_000_000 * (writer + 1) + 2 * moves[writer])
                    moves[writer] += 1
                    stopped.wait(0.002)
        except BaseException as error:  # raised again below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield moves
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _move(connection: psycopg.Connection, dice: random.Random, new_id: int) -> None:
    """A unit from one row to another; one time in ten a pair of rows that adds up to nothing."""
    # In order of id, or two writers wait for each other.
    one, other = sorted(dice.sample(range(1, _ACCOUNTS + 1), 2))
    unit = dice.choice([-1, 1])
    for account, change in ((one, -unit), (other, unit)):
        connection.execute(
            "UPDATE logs SET message = (message::int + %s)::text WHERE id = %s", [change, account]
        )
    if dice.random() < 0.1:
        for number, amount in enumerate((7, -7)):
            connection.execute(
                "INSERT INTO logs SELECT %s, timestamp, 'INFO', %s, source, device, ip, attributes "
                "FROM logs WHERE id = %s",
                [new_id + number, str(amount), dice.choice([one, other])],
            )
