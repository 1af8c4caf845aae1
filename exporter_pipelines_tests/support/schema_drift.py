"""Twelve ways in which a table changes before or during a run, and what must come of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from exporter_pipelines.errors import ColumnMismatchError, ExporterError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export_patiently, rows

DAY = "2026-11-01"
ROWS = 60
"""With 100 KB each: the stream is still open after its first batch."""

PUBLISHED, REFUSED = "published", "refused"
BEFORE, STREAM, OPEN = "before the run", "while rows flow", "not committed when the run begins"


@dataclass(frozen=True)
class Case:
    """A change, when it happens, and the verdict: on this run, and on the next one.

    Attributes:
        name: In docs/reliability.md.
        when: `BEFORE`, `STREAM` or `OPEN`.
        change: SQL.
        verdict: Of the run.
        next_verdict: Of the run after it.
        rejected: Rows of the day in the quarantine, if it is published.
    """

    name: str
    when: str
    change: str
    verdict: str
    next_verdict: str
    rejected: int = 0


CASES = (
    Case("column added", BEFORE, "ALTER TABLE logs ADD extra text", PUBLISHED, PUBLISHED),
    Case("optional column dropped", BEFORE, "ALTER TABLE logs DROP device", PUBLISHED, PUBLISHED),
    Case("required column dropped", BEFORE, "ALTER TABLE logs DROP level", REFUSED, REFUSED),
    Case("column renamed", BEFORE, "ALTER TABLE logs RENAME level TO lvl", REFUSED, REFUSED),
    Case(
        "type changed, still fits", BEFORE,
        "ALTER TABLE logs ALTER level TYPE varchar(20)", PUBLISHED, PUBLISHED,
    ),
    Case(
        "type changed, fits no more", BEFORE,
        "ALTER TABLE logs ALTER timestamp TYPE uuid USING gen_random_uuid()", REFUSED, REFUSED,
    ),
    Case(
        "required column may be null", BEFORE,
        "UPDATE logs SET level = NULL WHERE id = 3", PUBLISHED, PUBLISHED, 1,
    ),
    Case("column added", STREAM, "ALTER TABLE logs ADD extra text", PUBLISHED, PUBLISHED),
    Case("required column dropped", STREAM, "ALTER TABLE logs DROP level", PUBLISHED, REFUSED),
    Case("column renamed", STREAM, "ALTER TABLE logs RENAME level TO lvl", PUBLISHED, REFUSED),
    Case(
        "type changed, still fits", OPEN,
        "ALTER TABLE logs ALTER level TYPE varchar(20)", PUBLISHED, PUBLISHED,
    ),
    Case("column renamed", OPEN, "ALTER TABLE logs RENAME level TO lvl", REFUSED, REFUSED),
)  # fmt: skip


def wrong(case: Case, backend: Backend, store: LocalStore) -> str:
    """What did not go as the case says; empty when all did. Wants the three tables, empty."""
    backend.add_logs(DAY, ROWS, message="x" * 100_000)
    export_patiently(backend.url, dataset(), DAY, store)
    old = store.read_manifest("logs", DAY)
    if case.when == BEFORE:
        backend.run(case.change)
        first = _verdict(case, backend, store)
    elif case.when == STREAM:
        first = _while_rows_flow(case, backend, store)
    else:
        first = _while_uncommitted(case, backend, store)
    if first != case.verdict:
        return f"the run: {first}"
    if case.verdict == REFUSED and store.read_manifest("logs", DAY) != old:
        return "the old export is gone"
    second = _verdict(case, backend, store)
    return "" if second == case.next_verdict else f"the next run: {second}"


def _verdict(
    case: Case, backend: Backend, store: LocalStore,
    report: Callable[[int, int], None] = lambda _read, _total: None,
) -> str:  # fmt: skip
    before = store.read_manifest("logs", DAY)
    try:
        manifest = export_patiently(backend.url, dataset(), DAY, store, progress=report)
    except ColumnMismatchError:
        return REFUSED if store.read_manifest("logs", DAY) == before else "refused and changed"
    except ExporterError as error:
        return f"{type(error).__name__}: {error}"
    found = (len(rows(store, manifest)), manifest.counts.rejected)
    wanted = (ROWS - case.rejected, case.rejected)
    return PUBLISHED if found == wanted else f"published {found} instead of {wanted}"


def _while_rows_flow(case: Case, backend: Backend, store: LocalStore) -> str:
    changing = threading.Thread(target=backend.run, args=(case.change,))
    noted: list[bool] = []

    def report(_read: int, _total: int) -> None:
        if not noted:
            changing.start()
            time.sleep(0.3)
            noted.append(changing.is_alive())

    verdict = _verdict(case, backend, store, report)
    changing.join(20)
    return verdict if noted == [True] else f"the change did not wait: {noted}"


def _while_uncommitted(case: Case, backend: Backend, store: LocalStore) -> str:
    with psycopg.connect(backend.url) as migration:
        migration.execute(case.change)
        committing = threading.Timer(0.7, migration.commit)
        committing.start()
        verdict = _verdict(case, backend, store)
        committing.join()
    return verdict
