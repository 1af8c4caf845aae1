"""The schema of a row: a Pandera model, read once into the facts that all packages use.

Belongs here: column names, Arrow types, nullability, and the Pandera schema that judges a batch.
Does not belong here: reading a model (`row_models`), how a database type becomes one of these types
(`sources`), or how a value is written (`formats`).

pandas and Pandera are imported in the functions that use them. They take half a second, and
commands that read only published days use no schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

UTC_MICROSECONDS = pa.timestamp("us", "UTC")

NOTES_COLUMN = "__notes"
"""Last column of a batch as a source delivers it; see `contracts.source`."""
REASONS_COLUMN = "rejections"
"""Last key of a quarantined row: a list of {rule, column, value}."""


@dataclass(frozen=True)
class Column:
    """One exported column.

    Attributes:
        name: Name in the exported files.
        type: int64, float64, bool, string, or timestamp in microseconds UTC.
        nullable: Whether a row without a value is valid.
        required: Whether the source must have the column; an absent optional one is all null.
        is_json: Holds a JSON document as text; written as an object, not as a string. Declared
            with `Field(metadata={"json": True})`.
        is_identifier: int64 or text, whichever the source has. Declared with
            `Field(metadata={"identifier": True})`.
        description: For the UI and the docs.
        values: The valid values, where the schema lists them: with Pandera's `isin`, or with
            `Field(metadata={"values": [...]})` next to a custom check. They come from the schema
            and not from rows, so metrics may name them.
        extra: For a column that `extra_columns: keep` adds, its name in the source; else None.
    """

    name: str
    type: pa.DataType
    nullable: bool
    required: bool
    is_json: bool = False
    is_identifier: bool = False
    description: str = ""
    values: tuple[str, ...] = ()
    extra: str | None = None

    def described(self) -> dict[str, object]:
        """Name, type and nullability, as written to manifest and files; `extra` if it is one."""
        shown = "json" if self.is_json else str(self.type)
        described: dict[str, object] = {
            "name": self.name, "type": shown, "nullable": self.nullable
        }  # fmt: skip
        return described if self.extra is None else {**described, "extra": self.extra}

    @property
    def is_timestamp(self) -> bool:
        """Whether the column holds instants."""
        return bool(pa.types.is_timestamp(self.type))


@dataclass(frozen=True)
class RowSchema:
    """The contract of an exported row.

    Attributes:
        model: Dotted path of the Pandera model.
        columns: In the order in which they are exported.
        pandera: The model as a Pandera schema over Arrow-backed pandas; it coerces nothing.
    """

    model: str
    columns: tuple[Column, ...]
    pandera: Any
    _bound: dict[tuple[Column, ...], RowSchema] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema of a batch of rows; JSON columns are strings."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @property
    def json_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold JSON documents."""
        return tuple(column.name for column in self.columns if column.is_json)

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def bound(self, columns: Mapping[str, Column]) -> RowSchema:
        """The same schema with columns as one source delivers them (identifier type, JSON or text).

        The days of a range share one result: Pandera takes 2 ms to copy its schema.

        Args:
            columns: Replacements by name; names left out stay as they are.
        """
        import pandas as pd

        merged = tuple(columns.get(column.name, column) for column in self.columns)
        if merged not in self._bound:
            dtypes = {c.name: {"dtype": pd.ArrowDtype(c.type), "required": True} for c in merged}
            judging = self.pandera.update_columns(dtypes)
            self._bound[merged] = replace(self, columns=merged, pandera=judging)
        return self._bound[merged]

    def extended(self, columns: Sequence[Column]) -> RowSchema:
        """The schema with further columns at its end, which no rule judges."""
        import pandas as pd
        import pandera.pandas as pandera

        added = {
            c.name: pandera.Column(pd.ArrowDtype(c.type), nullable=True, required=False)
            for c in columns
        }
        return replace(
            self, columns=(*self.columns, *columns), pandera=self.pandera.add_columns(added)
        )

    def without_rules(self) -> RowSchema:
        """The schema of `validation: basic`: types and required fields only."""
        import pandera.pandas as pandera

        plain = {
            name: pandera.Column(column.dtype, nullable=column.nullable, required=column.required)
            for name, column in self.pandera.columns.items()
        }
        return replace(self, pandera=pandera.DataFrameSchema(plain, name=self.pandera.name))

    def selected(self, names: Sequence[str]) -> RowSchema:
        """The schema with only these columns, in this order; it cannot be used for validation."""
        return replace(self, columns=tuple(self[name] for name in names))

    @property
    def rules(self) -> tuple[tuple[str, str | None], ...]:
        """(rule, column) of every rule; a rule over whole rows has no column."""
        required = [("required", c.name) for c in self.columns if not c.nullable]
        checks = [
            (rule_name(check), name)
            for name, column in self.pandera.columns.items()
            for check in column.checks
        ]
        frame = [(rule_name(check), None) for check in self.pandera.checks]
        return (*required, *checks, *frame)


def rule_name(check: Any) -> str:
    """The name under which a Pandera check appears in quarantine, checks and metrics."""
    return str(check.name or "unnamed")
