"""Filters on a batch: which rows stay, and by which filter the others are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.engine.validate import Rejection
from exporter_pipelines.transforms import RowFilter


def kept(
    batch: pa.RecordBatch,
    filters: Sequence[RowFilter],
    undelivered: Sequence[Rejection],
    filtered: Counter[str],
) -> pa.Array:
    """A boolean per row: whether it stays.

    A row whose value in a filter's column could not be delivered passes that filter, to be
    rejected: what the filter would have said cannot be told.

    Args:
        batch: After the transforms.
        filters: All of which a row must pass.
        undelivered: What the source could not deliver.
        filtered: Is told how many rows each filter is the first to leave out.
    """
    keep = pa.repeat(True, len(batch))
    for row_filter in filters:
        stays = row_filter.stays(batch)
        unknown = [r.row for r in undelivered if r.column == row_filter.column]
        if unknown:
            rows = pa.array(range(len(batch)), pa.int64())
            stays = pc.or_(stays, pc.is_in(rows, value_set=pa.array(unknown, pa.int64())))
        left_out = pc.and_not(keep, stays)
        filtered[row_filter.name] += pc.sum(left_out).as_py() or 0
        keep = pc.and_(keep, stays)
    return keep


def renumbered(rejections: list[Rejection], keep: pa.Array) -> list[Rejection]:
    """The rejections of the rows that stay, at their new positions."""
    if not rejections:
        return []
    position = {row: new for new, row in enumerate(pc.indices_nonzero(keep).to_pylist())}
    return [r._replace(row=position[r.row]) for r in rejections if r.row in position]
