"""Stages a day in slices: parts of its time, read by several processes from one snapshot.

Processes and not threads: Python's lock is held for two thirds of the CPU time of an export as JSON
Lines. With one reader, this process reads the slices one after another.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.slices import slices_of
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.contracts.staged_day import StagedDay, Staging
from exporter_pipelines.engine.erased_subjects import ErasedSubjects
from exporter_pipelines.engine.slice_files import JoinedFiles, SliceFiles, SliceStaging
from exporter_pipelines.engine.slice_processes import SliceOrder, SliceProcesses
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS, OnBatch, Stager


def stage_in_slices(
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
    """Like `stage.stage_day`, for a dataset with `slices`.

    The rows of erased subjects are looked for in all slices together, so one reader reads them.
    """
    stager = Stager(dataset, window, snapshot, run_id, erased)
    exported = dataset.exported(snapshot.schema)
    joined = JoinedFiles(staging, dataset, window, exported, run_id)
    readers = 1 if erased else min(settings.readers(), dataset.config.slices)
    read = _by_processes if readers > 1 else _one_by_one
    # Closed at once when a file cannot be written: the processes must not read on.
    with closing(read(stager, readers, batch_rows, progress)) as slices:
        for slice_ in slices:
            with closing(slice_):
                joined.add(slice_)
    return stager.staged(staging, *joined.finish())


def _one_by_one(
    stager: Stager, _readers: int, batch_rows: int, progress: OnBatch
) -> Generator[SliceFiles]:
    """The slices in order, each of them read when the one before was taken."""
    for part in slices_of(stager.window, stager.dataset.config.slices):
        files = SliceFiles()
        stager.begin(SliceStaging(files.add), is_slice=True)
        stager.read(batch_rows, progress, part)
        entries, _ = stager.end()
        files.entry = entries[0] if entries else None
        yield files
    stager.snapshot.were_read([stager.snapshot.mark()])


def _by_processes(
    stager: Stager, readers: int, batch_rows: int, progress: OnBatch
) -> Generator[SliceFiles]:
    """The slices in order, read by several processes at once."""
    tally, total = stager.tally, stager.tally.source_rows
    order = SliceOrder.of(stager.dataset, stager.window, stager.snapshot.share(), batch_rows)
    with SliceProcesses(order, readers, lambda rows: progress(rows, total)) as processes:
        yield from processes.slices(stager.dataset.config.slices)
        marks = []
        for counted, mark in processes.end():
            tally.add(counted)
            marks.append(mark)
    stager.snapshot.were_read(marks)
