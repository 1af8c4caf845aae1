"""Sorts more rows than fit into memory: into buckets on disk first, then bucket by bucket."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from exporter_pipelines.training.examples import Extent

_BUCKET_BYTES = 6 * 1024 * 1024
_GATHERED_BYTES = 6 * 1024 * 1024
_MOST_BUCKETS = 400
"""Each is an open file while rows are divided; at most half of what a process may open."""

Numbers: TypeAlias = npt.NDArray[np.uint64]


def in_order(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, extent: Extent, folder: Path
) -> Iterator[pa.Table]:
    """The rows by `_order`, then `_tie`, then `_window`, in tables of some megabytes.

    Args:
        batches: In any order. `_order` is a hash, or 0 in all of them.
        schema: Of the batches.
        extent: Of the batches.
        folder: For the buckets, which are deleted as they are read.
    """
    for path in _divide(batches, schema, extent, folder):
        with pa.OSFile(str(path)) as file:
            bucket = pa.ipc.open_stream(file).read_all().combine_chunks()
        path.unlink()
        keys = [bucket[name].to_numpy() for name in ("_window", "_tie", "_order")]
        yield bucket.take(np.lexsort(keys))


def _divide(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, extent: Extent, folder: Path
) -> list[Path]:
    """Write each row into the file of its bucket; those of a bucket precede those of the next."""
    paths: list[Path] = []
    writers: list[pa.RecordBatchWriter] = []
    with ExitStack() as stack:
        for batch in _gathered(batches):
            if not writers:
                count = _buckets(batch, extent.count)
                paths = [folder / f"bucket-{number:04}.arrow" for number in range(count)]
                writers = [_writer(stack, path, schema) for path in paths]
            numbers = _bucket_of(batch, len(writers), extent)
            order = np.argsort(numbers, kind="stable")
            ends = np.searchsorted(numbers[order], np.arange(len(writers)), side="right")
            sorted_rows, start = batch.take(pa.array(order)), 0
            for number, end in enumerate(ends.tolist()):
                if end > start:
                    writers[number].write_batch(sorted_rows.slice(start, end - start))
                start = end
    return paths


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of some megabytes, so that each bucket gets more than a few."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if len(batch):
            waiting.append(batch)
        if sum(each.nbytes for each in waiting) >= _GATHERED_BYTES:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _writer(stack: ExitStack, path: Path, schema: pa.Schema) -> pa.RecordBatchWriter:
    file = stack.enter_context(pa.OSFile(str(path), "wb"))
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    return stack.enter_context(pa.ipc.new_stream(file, schema, options=options))


def _buckets(first: pa.RecordBatch, rows: int) -> int:
    size: int = rows * first.nbytes // len(first)
    may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_BUCKETS if may_open == resource.RLIM_INFINITY else may_open // 2
    return max(1, min(-(-size // _BUCKET_BYTES), _MOST_BUCKETS, most))


def _bucket_of(batch: pa.RecordBatch, buckets: int, extent: Extent) -> Numbers:
    """By the hash, which is even over 64 bits; where it is 0, by the number of the row."""
    order: Numbers = batch["_order"].to_numpy().astype(np.uint64)
    if order.any():
        by_hash: Numbers = (order >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)
        return by_hash
    tie = batch["_tie"].to_numpy().astype(np.uint64) - np.uint64(extent.first)
    by_number: Numbers = tie * np.uint64(buckets) // np.uint64(extent.last - extent.first + 1)
    return by_number
