"""Applies filters to a batch, and counts the rows that each filter removes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.transforms import RowFilter


def rows_to_keep(
    batch: pa.RecordBatch,
    filters: Sequence[RowFilter],
    undelivered: Sequence[Rejection],
    filtered: Counter[str],
) -> pa.Array:
    """A boolean per row: whether it passes all filters.

    A row whose value in a filter's column could not be delivered passes that filter and is
    rejected later: there is no value to test.

    Args:
        batch: Rows after the transforms.
        filters: Filters of the dataset.
        undelivered: Values that the source could not deliver.
        filtered: Filter -> rows; each removed row is added to the first filter that removes it.
    """
    keep = pa.repeat(True, len(batch))
    for row_filter in filters:
        passes = row_filter.matches(batch)
        unknown = [r.row for r in undelivered if r.column == row_filter.column]
        if unknown:
            rows = pa.array(range(len(batch)), pa.int64())
            passes = pc.or_(passes, pc.is_in(rows, value_set=pa.array(unknown, pa.int64())))
        removed = pc.and_not(keep, passes)
        filtered[row_filter.name] += pc.sum(removed).as_py() or 0
        keep = pc.and_(keep, passes)
    return keep


def renumbered(rejections: list[Rejection], keep: pa.Array) -> list[Rejection]:
    """The rejections of the rows that are kept, at their new positions."""
    if not rejections:
        return []
    position = {row: new for new, row in enumerate(pc.indices_nonzero(keep).to_pylist())}
    return [r._replace(row=position[r.row]) for r in rejections if r.row in position]
