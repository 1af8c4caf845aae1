"""How the rows of a benchmark differ from the standard ones: more columns, or longer texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_WIDE = 200
_STANDARD_COLUMNS = 8
# Small enough for a row to fit into a page without compression.
_KINDS: tuple[tuple[str, str], ...] = (
    ("i{k}", "id * {k}"),
    ("t{k}", "'v' || (id * {k}) % 1000"),
    ("f{k}", "((id * {k}) % 100000) / 7.0::float8"),
    ("i{k}", "id % {k}"),
    ("t{k}", "'v' || id % {k}"),
    ("s{k}", "timestamp + {k} * interval '1 second'"),
)
_LONG_CHARS = 2_000
# Lines of a stack trace, with other names and numbers in each row.
_LONG_MESSAGE = f"""
UPDATE logs SET message = left(message || (
    SELECT string_agg(
        E'\\n\\tat org.example.' || substr(md5((id + k)::text), 1, 12) || '.Handler$' || k ||
        '.handle("request", Handler.java:' || (id * k) % 900 || ')', '')
    FROM generate_series(1, 32) AS k), {_LONG_CHARS})
WHERE message IS NOT NULL
"""


@dataclass(frozen=True)
class Shape:
    """A kind of rows.

    Attributes:
        name: For `--shape` and the name of the database.
        rows, days: How many are measured if nothing else is said.
        columns: Names of the columns after those of the standard table.
        statements: Make these rows of those of the standard table.
        settings: Of the dataset, in addition to those of every benchmark.
    """

    name: str
    rows: int
    days: int
    columns: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def _wide() -> Shape:
    kinds = [_KINDS[k % len(_KINDS)] for k in range(_WIDE - _STANDARD_COLUMNS)]
    values = {name.format(k=k): value.format(k=k) for k, (name, value) in enumerate(kinds, 1)}
    # A tenth of each column is null.
    shown = ", ".join(
        f"CASE WHEN (id + {k}) % 10 > 0 THEN {value} END AS {name}"
        for k, (name, value) in enumerate(values.items())
    )
    statements = (
        f"CREATE TABLE wide AS SELECT logs.*, {shown} FROM logs ORDER BY id",
        "DROP TABLE logs",
        "ALTER TABLE wide RENAME TO logs",
        "ALTER TABLE logs ADD PRIMARY KEY (id)",
    )
    return Shape("wide", 200_000, 2, tuple(values), statements, {"extra_columns": "keep"})


STANDARD = Shape("logs", 2_000_000, 10)
SHAPES = {
    shape.name: shape
    for shape in (
        STANDARD,
        _wide(),
        Shape("long", 200_000, 2, statements=(_LONG_MESSAGE, "VACUUM FULL logs")),
    )
}
