"""The main loop: one pass over a day, from the database to files in a staging area.

Three threads: one reads ahead, this one transforms and validates, and one encodes, compresses,
hashes and writes. At most three batches are in memory, whatever the size of the day: one for each
thread. Parquet also keeps the batches of a row group. With a privacy policy,
six batches and up to 64 MiB of rows are in memory (`private_rows`).
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import DataFile
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.contracts.staged_day import FileFacts, StagedDay, Staging
from exporter_pipelines.engine.account_for_rows import RowAccount
from exporter_pipelines.engine.data_files import DataFiles
from exporter_pipelines.engine.erased_rows import ErasedRows
from exporter_pipelines.engine.erased_subjects import ErasedSubjects
from exporter_pipelines.engine.private_rows import private_rows
from exporter_pipelines.engine.quarantine import QuarantineWriter
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.engine.threads import WriteBehind, read_ahead
from exporter_pipelines.stores import layout

DEFAULT_BATCH_ROWS = 50_000

_BATCHES = 3
"""In memory at the same time. Each more takes 8 MiB when writing is the slowest thread, and
2,000,000 rows take as long (docs/performance.md)."""

OnBatch = Callable[[int, int], None]
"""Called after each batch with (rows read so far, rows of the day)."""

Put = Callable[[pa.RecordBatch], object]


def stage_day(
    dataset: Dataset,
    window: DayWindow,
    snapshot: DaySnapshot,
    staging: Staging,
    *,
    run_id: str,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    progress: OnBatch = lambda _read, _total: None,
    erased: ErasedSubjects | None = None,
) -> StagedDay:
    """Write a day's valid rows and its rejected rows into the staging area, and count them all.

    Args:
        dataset: What to export, and how.
        window: The day.
        snapshot: Its rows; the caller closes it.
        staging: Where files go; the caller discards it.
        run_id: Dagster's run id, for the manifest and the quarantine's name.
        batch_rows: Maximum rows in a batch; affects memory and speed, never the result.
        progress: Called after each batch.
        erased: Subjects that are left out.

    Raises:
        ExporterError: the source was lost, the disk is full, or a rule crashed. Files written so
            far remain in the staging area for the caller to discard.
    """
    stager = Stager(dataset, window, snapshot, run_id, erased)
    stager.begin(staging)
    stager.read(batch_rows, progress)
    return stager.staged(staging, *stager.end())


class Stager:
    """The state of one pass over one day, or over slices of it.

    Args:
        dataset, window, snapshot, run_id, erased: See `stage_day`.

    Attributes:
        tally: Of the rows read so far.
    """

    def __init__(
        self,
        dataset: Dataset,
        window: DayWindow,
        snapshot: DaySnapshot,
        run_id: str,
        erased: ErasedSubjects | None = None,
    ) -> None:
        self.dataset, self.window, self.snapshot = dataset, window, snapshot
        self.run_id = run_id
        self._started_at, self._clock = dt.datetime.now(dt.UTC), time.monotonic()
        self._exported = dataset.exported(snapshot.schema)
        self._private = private_rows(dataset, snapshot.schema, window)
        self._erased_subjects = erased.ids if erased else frozenset[str]()
        self._erased = ErasedRows(erased, dataset, window) if erased else None
        self._account = RowAccount(dataset, snapshot.schema)
        self.tally = self._account.empty_tally(snapshot.row_count, snapshot.repeated_keys)
        self.tally.unreadable_times = snapshot.unreadable_times

    def begin(self, staging: Staging, *, is_slice: bool = False) -> None:
        """Begin the files of the day, or of a slice, in a staging area."""
        dataset, window = self.dataset, self.window
        self._files = DataFiles(staging, dataset, window, self._exported, is_slice=is_slice)
        self._quarantine = QuarantineWriter(
            staging,
            layout.quarantine_stem(dataset.name, window.day, self.run_id, staging.generation),
            dataset.config.compression,
            self._private.quarantine_schema if self._private else self.snapshot.schema,
        )

    def read(self, batch_rows: int, progress: OnBatch, part: DayWindow | None = None) -> None:
        """Read the rows of the day, or of a part of it, into the files that were begun."""
        # A privacy policy writes other batches than were read, so their numbers need not be equal.
        room = None if self._private else threading.Semaphore(_BATCHES)
        with WriteBehind(self._files.write, room) as behind, ExitStack() as opened:

            def read() -> Iterator[pa.RecordBatch]:
                # Closed before an error leaves this method: it keeps the frames that hold the
                # iterator alive, and the connection cannot be closed while a thread reads.
                batches = self.snapshot.batches(batch_rows, part)
                return opened.enter_context(closing(read_ahead(batches, self.snapshot.stop, room)))

            batches = self._private.rows(read) if self._private else read()
            write = self._put_without_erased(behind.put) if self._erased else behind.put
            put = self._private_put(write) if self._private else write
            # No variable here, which would keep a batch while this thread waits: 5 MiB.
            for _ in map(put, map(self._valid, batches)):
                progress(self.tally.rows_read, self.tally.source_rows)
            for rows in self._private.rest() if self._private else ():
                write(rows)
            behind.finish()

    def end(self) -> tuple[tuple[DataFile, ...], FileFacts | None]:
        """End the files; returns the data files and that of the rejected rows."""
        self._files.finish()
        self.tally.changed.update(self._files.changed)
        self.tally.nulls.update(self._files.nulls)
        return self._files.entries(), self._quarantine.finish()

    def _valid(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The valid rows of a batch, transformed; the others go to the quarantine."""
        return self._account.valid(batch, self.window, self.tally, self._reject)

    def _private_put(self, put: Put) -> Put:
        """Like `put`, for rows that are masked first."""

        def masked(valid: pa.RecordBatch) -> None:
            if self._erased:
                self._erased.look_at(valid, self.snapshot.schema)
            for rows in self._private.mask(valid) if self._private else ():
                put(rows)

        return masked

    def _put_without_erased(self, put: Put) -> Put:
        """Like `put`, for rows that may be those of an erased subject."""

        def written(rows: pa.RecordBatch) -> None:
            if self._erased:
                put(self._erased.exported(rows, self._exported, self.tally))

        return written

    def _reject(self, batch: pa.RecordBatch, rejections: list[Rejection]) -> int:
        if self._erased and rejections:
            self._erased.look_at(batch, self.snapshot.schema)
        if self._private and rejections:
            batch, rejections = self._private.rejected(batch, rejections)
        if not self._erased or not rejections:
            return self._quarantine.add(batch, rejections)
        schema = self._private.quarantine_schema if self._private else self.snapshot.schema
        erased, others = self._erased.rejected(batch, schema, rejections, self.tally)
        # The caller adds all of them, and those that it tolerates.
        self.tally.rows_rejected -= len(erased)
        self.tally.rows_tolerated -= self._account.only_tolerated([
            each for each in rejections if each.row in erased
        ])  # fmt: skip
        return self._quarantine.add(batch, others) + len(erased)

    def staged(
        self, staging: Staging, files: tuple[DataFile, ...], rejected: FileFacts | None
    ) -> StagedDay:
        """What is known about the day, after all its files were ended."""
        tally, private = self.tally, self._private
        written = DataFiles(staging, self.dataset, self.window, self._exported)
        applied = self._account.transformations
        return StagedDay(
            dataset=self.dataset,
            window=self.window,
            schema=self._exported,
            run_id=self.run_id,
            started_at=self._started_at,
            duration_s=round(time.monotonic() - self._clock, 6),
            tally=tally,
            files=files,
            quarantine=rejected,
            transformations=(
                *(private.transformations(applied) if private else applied),
                *written.transformations,
            ),
            source=self.snapshot.info,
            identity=self.snapshot.identity,
            staging=staging,
            privacy=private.stated() if private else None,
            masked=private.masked_values() if private else None,
            erasures=self._erased.stated(tally) if self._erased else (),
            erased_subjects=self._erased_subjects,
        )
