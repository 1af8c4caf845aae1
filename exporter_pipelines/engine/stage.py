"""The main loop: one pass over a day, from the database to files in a staging area.

Three threads: one reads ahead, this one transforms and validates, and one encodes, compresses,
hashes and writes. At most six batches are in memory, whatever the size of the day: one being read,
two waiting, one being validated, one waiting, one being written. Parquet also keeps the batches of
a row group.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NOTES_COLUMN, DaySnapshot
from exporter_pipelines.contracts.staged_day import StagedDay, Staging
from exporter_pipelines.contracts.tally import UNNAMED_VALUE, Tally
from exporter_pipelines.engine.data_files import DataFiles
from exporter_pipelines.engine.filter_rows import renumbered, rows_to_keep
from exporter_pipelines.engine.quarantine import Quarantine
from exporter_pipelines.engine.threads import WriteBehind, read_ahead
from exporter_pipelines.engine.validate import Rejection, validate
from exporter_pipelines.stores import layout
from exporter_pipelines.transforms import RowFilter, transform_named

DEFAULT_BATCH_ROWS = 50_000

Progress = Callable[[int, int], None]
"""Called after each batch with (rows read so far, rows of the day)."""


def stage_day(
    dataset: Dataset,
    window: DayWindow,
    snapshot: DaySnapshot,
    staging: Staging,
    *,
    run_id: str,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    progress: Progress = lambda _read, _total: None,
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

    Raises:
        ExporterError: the source was lost, the disk is full, or a rule crashed. Files written so
            far remain in the staging area for the caller to discard.
    """
    return _Stager(dataset, window, snapshot, staging, run_id).run(batch_rows, progress)


class _Stager:
    """The state of one pass over one day."""

    def __init__(
        self,
        dataset: Dataset,
        window: DayWindow,
        snapshot: DaySnapshot,
        staging: Staging,
        run_id: str,
    ) -> None:
        config = dataset.config
        self._dataset, self._window, self._snapshot = dataset, window, snapshot
        self._staging, self._run_id = staging, run_id
        self._started_at, self._clock = dt.datetime.now(dt.UTC), time.monotonic()
        self._schema = snapshot.schema
        self._exported = dataset.exported(self._schema)
        self._judging = dataset.judging(self._schema)
        self._transforms = [transform_named(entry, self._schema) for entry in config.transforms]
        self._filters = [RowFilter(entry, self._schema, bound=True) for entry in config.filters]
        self._enumerated = [c for c in dataset.schema.columns if c.values]
        self._files = DataFiles(staging, dataset, window, self._exported)
        self._tally = self._empty_tally()
        self._tolerated = config.rules_that("warn")
        self._quarantine = Quarantine(
            staging,
            layout.quarantine_stem(dataset.name, window.day, run_id, staging.generation),
            config.compression,
            self._schema,
        )

    def _empty_tally(self) -> Tally:
        """A tally with all its counters at 0, so that zeros are reported as well."""
        snapshot, config = self._snapshot, self._dataset.config
        tally = Tally(source_rows=snapshot.row_count, repeated_keys=snapshot.repeated_keys)
        tally.failures.update(dict.fromkeys(self._judging.rules, 0))
        tally.failures.update(dict.fromkeys(((name, None) for name, _ in config.sql_rules), 0))
        tally.missing.update(dict.fromkeys(self._schema.names, 0))
        tally.rows_filtered.update(dict.fromkeys((f.name for f in self._filters), 0))
        tally.values.update({(c.name, value): 0 for c in self._enumerated for value in c.values})
        return tally

    def run(self, batch_rows: int, progress: Progress) -> StagedDay:
        with WriteBehind(self._files.write) as behind:
            for batch in read_ahead(self._snapshot.batches(batch_rows), self._snapshot.stop):
                behind.put(self._valid(batch))
                progress(self._tally.rows_read, self._tally.source_rows)
            behind.finish()
        self._files.finish()
        self._tally.changed.update(self._files.changed)
        return self._staged()

    def _valid(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Account for every row of a batch and return the valid ones, transformed."""
        tally = self._tally
        read = batch.drop_columns([NOTES_COLUMN])
        self._count_read(read)
        prepared = read
        for transform in self._transforms:
            prepared = transform(prepared, tally.changed)
        if self._transforms and not tally.key_was_transformed:
            key = self._dataset.config.source.key
            tally.key_was_transformed = not prepared[key].equals(read[key])
        undelivered = self._undelivered(batch[NOTES_COLUMN])
        if self._filters:
            keep = rows_to_keep(prepared, self._filters, undelivered, tally.rows_filtered)
            undelivered = renumbered(undelivered, keep)
            read, prepared = read.filter(keep), prepared.filter(keep)
            if not len(read):
                return prepared
        rejections = self._rejections(undelivered, prepared)
        rejected = self._quarantine.add(read, rejections)
        valid = prepared
        if rejected:
            keep = np.ones(len(read), bool)
            keep[[rejection.row for rejection in rejections]] = False
            valid = prepared.filter(pa.array(keep))
        tally.rows_rejected += rejected
        tally.rows_tolerated += self._only_tolerated(rejections)
        tally.rows_exported += len(valid)
        self._count_values(valid)
        return valid

    def _count_read(self, read: pa.RecordBatch) -> None:
        """Count what does not depend on rules: rows, missing values, and rows outside the day."""
        tally = self._tally
        tally.rows_read += len(read)
        for name in read.schema.names:
            tally.missing[name] += read[name].null_count
        times = read[self._dataset.config.source.time_column]
        start, end = (pa.scalar(t, times.type) for t in (self._window.start, self._window.end))
        inside = pc.and_(pc.greater_equal(times, start), pc.less(times, end))
        tally.rows_outside_window += len(read) - (pc.sum(inside).as_py() or 0)

    def _count_values(self, valid: pa.RecordBatch) -> None:
        """Count the values of columns whose schema lists them; all others as `UNNAMED_VALUE`.

        0.5 ms for 50,000 rows.
        """
        for column in self._enumerated:
            for entry in pc.value_counts(valid[column.name]).to_pylist():
                value = entry["values"]
                if value is not None:
                    name = value if value in column.values else UNNAMED_VALUE
                    self._tally.values[column.name, name] += entry["counts"]

    def _rejections(
        self, undelivered: list[Rejection], prepared: pa.RecordBatch
    ) -> list[Rejection]:
        """What the source could not deliver, then what Pandera finds; counted per rule."""
        # A value that could not be delivered is null here; that is not a second reason. An SQL
        # rule judges a whole row and hides no other rule.
        known = {(r.row, r.column) for r in undelivered if r.column is not None}
        judged = [r for r in validate(prepared, self._judging) if (r.row, r.column) not in known]
        rejections = [*undelivered, *judged]
        for _, rule, column, _ in rejections:
            self._tally.failures[rule, column] += 1
        return rejections

    def _only_tolerated(self, rejections: list[Rejection]) -> int:
        """Number of rows that are rejected only by rules with the threshold `warn`."""
        if not self._tolerated:
            return 0
        serious = {r.row for r in rejections if r.rule not in self._tolerated}
        return len({r.row for r in rejections} - serious)

    def _undelivered(self, notes: pa.Array) -> list[Rejection]:
        if notes.null_count == len(notes):
            return []
        rejections = []
        for row, text in enumerate(notes.to_pylist()):
            for entry in json.loads(text) if text else ():
                match entry:
                    case ["reject", rule, column, value]:
                        rejections.append(Rejection(row, rule, column, value))
                    case ["change", rule, *_]:
                        self._tally.changed[rule] += 1
        return rejections

    def _staged(self) -> StagedDay:
        tally = self._tally
        return StagedDay(
            dataset=self._dataset,
            window=self._window,
            schema=self._exported,
            run_id=self._run_id,
            started_at=self._started_at,
            duration_s=round(time.monotonic() - self._clock, 6),
            tally=tally,
            files=self._files.entries(),
            quarantine=self._quarantine.finish(),
            transformations=(
                *(transform.applied for transform in self._transforms),
                *self._files.transformations,
            ),
            source=self._snapshot.info,
            identity=self._snapshot.identity,
            staging=self._staging,
        )
