"""Leaves out conditions on values that cannot be true for this table and this day.

The server evaluates them for every row, which takes a tenth of its time.

A time is within the years 1 to 9999 if the stored value itself lies in the window of the day. A
text cannot be larger than the limit if the table stores no value outside of its pages: what fits
into a page is at most 255 times as large when it is decompressed (LZ4; pglz reaches 91 times).
https://www.postgresql.org/docs/current/storage-toast.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.times import TEXTS
from exporter_pipelines.sources.postgres.types import Projection

# Their text is as long as the stored value, or shorter.
_STORED_AS_SHOWN = TEXTS | {"json"}

# A table, its partitions and the tables that inherit from it. Views and foreign tables may show
# any value, and so may a virtual column, which is computed. Without a size, the storage was dropped
# in the meantime.
_ALL_INLINE = """
WITH RECURSIVE family(oid) AS (
    SELECT {oid}::oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid
)
SELECT current_setting('block_size')::int8 * 256 <= {limit} AND bool_and(
    c.relkind IN ('r', 'm', 'p')
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attgenerated = 'v')
    AND (c.reltoastrelid = 0 OR coalesce(pg_relation_size(c.reltoastrelid), 1) = 0)
) AS found
FROM family f JOIN pg_class c ON c.oid = f.oid
"""


def without_proven_guards(
    projections: Sequence[Projection | None],
    dataset: Dataset,
    types: Mapping[str, str],
    *,
    texts_are_small: bool,
) -> list[Projection | None]:
    """The projections of a day query, without conditions that cannot be true.

    Args:
        projections: Of the table.
        dataset: Names the time column.
        types: Source column -> PostgreSQL type.
        texts_are_small: See `texts_are_small`.
    """
    return [
        projection and _without(projection, dataset, types, texts_are_small=texts_are_small)
        for projection in projections
    ]


def texts_are_small(connection: PostgresConnection, oid: str, limit_bytes: int) -> bool:
    """Whether no stored text can be larger than a limit.

    Args:
        connection: In the transaction of the day.
        oid: Expression for the OID of the table.
        limit_bytes: `max_value_bytes` of the dataset.
    """
    return bool(connection.rows(_ALL_INLINE.format(oid=oid, limit=limit_bytes))[0]["found"])


def _without(
    projection: Projection, dataset: Dataset, types: Mapping[str, str], *, texts_are_small: bool
) -> Projection:
    name = projection.column.name
    pg_type = types[dataset.source_name(name)]
    in_the_window = name == dataset.config.source.time_column and pg_type == "timestamptz"
    is_small = texts_are_small and pg_type in _STORED_AS_SHOWN
    if in_the_window or (is_small and not projection.column.is_timestamp):
        return replace(projection, value="{v}", rejected=())
    return projection
