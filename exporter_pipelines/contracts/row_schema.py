"""The schema of a row: a Pandera model, read once into the facts that all packages use.

Belongs here: column names, Arrow types, nullability, and the Pandera schema that judges a batch.
Does not belong here: how a database type becomes one of these types (`sources`), or how a value
is written (`formats`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.reserved_names import as_readers_compare
from exporter_pipelines.errors import ConfigurationError

UTC_MICROSECONDS = pa.timestamp("us", "UTC")

NOTES_COLUMN = "__notes"
"""Last column of a batch as a source delivers it; see `contracts.source`."""
REASONS_COLUMN = "rejections"
"""Last key of a quarantined row: a list of {rule, column, value}."""

# Dtypes of a model written with plain Python annotations, by the name that Pandera gives them.
_PLAIN_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "string": pa.string(),
    "object": pa.string(),
}


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

        Args:
            columns: Replacements by name; names left out stay as they are.
        """
        merged = tuple(columns.get(column.name, column) for column in self.columns)
        dtypes = {c.name: {"dtype": pd.ArrowDtype(c.type), "required": True} for c in merged}
        return replace(self, columns=merged, pandera=self.pandera.update_columns(dtypes))

    def extended(self, columns: Sequence[Column]) -> RowSchema:
        """The schema with further columns at its end, which no rule judges."""
        added = {
            c.name: pandera.Column(pd.ArrowDtype(c.type), nullable=True, required=False)
            for c in columns
        }
        return replace(
            self, columns=(*self.columns, *columns), pandera=self.pandera.add_columns(added)
        )

    def without_rules(self) -> RowSchema:
        """The schema of `validation: basic`: types and required fields only."""
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


def rule_name(check: pandera.Check) -> str:
    """The name under which a Pandera check appears in quarantine, checks and metrics."""
    return str(check.name or "unnamed")


def load_row_schema(path: str) -> RowSchema:
    """Import a Pandera model and return its row schema.

    Args:
        path: Dotted path such as `exporter_pipelines.defs.logs.schema.LogRow`.

    Raises:
        ConfigurationError: the path cannot be imported, is not a Pandera model, or the model has a
            type or an option that exports do not support.
    """
    schema = _import_model(path).to_schema()
    if options := _evading_options(schema):
        raise ConfigurationError(
            f"{path} uses {', '.join(options)}, which makes Pandera change rows or accept invalid "
            "ones.",
            "Remove it; rows that break a rule are kept in the quarantine.",
        )
    if schema.unique or any(column.unique for column in schema.columns.values()):
        raise ConfigurationError(
            f"{path} declares a column unique, which cannot be checked batch by batch.",
            "Remove it; repeated keys of the whole day are counted by the check repeated_keys.",
        )
    needed = {NOTES_COLUMN, REASONS_COLUMN}
    if taken := [name for name in schema.columns if as_readers_compare(name) in needed]:
        raise ConfigurationError(
            f"{path} has a column {taken[0]!r}, a name that the quarantine needs.",
            "Give it another name; `columns:` maps it to the name in the database.",
        )
    columns = tuple(_column(path, name, column) for name, column in schema.columns.items())
    arrow_backed = {c.name: {"dtype": pd.ArrowDtype(c.type), "coerce": False} for c in columns}
    schema = schema.update_columns(arrow_backed)
    schema.coerce = False
    return RowSchema(path, columns, schema)


def _evading_options(schema: Any) -> list[str]:
    """Options that let an invalid row pass, or change rows before they are judged."""
    parts = [schema, *schema.columns.values()]
    checks = [check for part in parts for check in part.checks]
    found = {
        "drop_invalid_rows": any(part.drop_invalid_rows for part in parts),
        "a parser": any(part.parsers for part in parts),
        "default": any(column.default is not None for column in schema.columns.values()),
        "n_failure_cases": any(check.n_failure_cases is not None for check in checks),
        "raise_warning": any(check.raise_warning for check in checks),
    }
    return [option for option, used in found.items() if used]


def _import_model(path: str) -> type[pandera.DataFrameModel]:
    module_name, _, class_name = path.rpartition(".")
    try:
        model = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"schema {path!r} cannot be imported: {error}.",
            "Give the dotted path of a Pandera DataFrameModel, as in package.module.Class.",
        ) from error
    if not (isinstance(model, type) and issubclass(model, pandera.DataFrameModel)):
        raise ConfigurationError(
            f"schema {path!r} is not a Pandera DataFrameModel.",
            "Derive the class from pandera.pandas.DataFrameModel.",
        )
    return model


def _column(path: str, name: str, column: Any) -> Column:
    metadata = column.metadata or {}
    return Column(
        name=name,
        type=_arrow_type(path, name, column.dtype),
        nullable=column.nullable,
        required=column.required,
        is_json=bool(metadata.get("json")),
        is_identifier=bool(metadata.get("identifier")),
        description=column.description or "",
        values=_allowed_values(column),
    )


def _allowed_values(column: Any) -> tuple[str, ...]:
    """The set of values that a text column is restricted to; empty when there is none."""
    declared = (column.metadata or {}).get("values", ())
    for check in column.checks:
        declared = declared or (check.statistics or {}).get("allowed_values", ())
    return tuple(declared) if all(isinstance(value, str) for value in declared) else ()


def _arrow_type(path: str, name: str, dtype: Any) -> pa.DataType:
    native = getattr(dtype, "type", None)
    if isinstance(native, pd.ArrowDtype):
        found = native.pyarrow_dtype
    elif str(dtype).startswith("datetime64"):
        found = UTC_MICROSECONDS
    else:
        found = _PLAIN_TYPES.get(str(dtype).partition("[")[0])  # also string[pyarrow]
    if found not in {*_PLAIN_TYPES.values(), UTC_MICROSECONDS}:
        raise ConfigurationError(
            f"Column {name!r} of {path} has the type {dtype}, which cannot be exported.",
            "Use pa.int64, pa.float64, pa.bool_, pa.string, or "
            'Annotated[pa.timestamp, "us", "UTC"].',
        )
    return found
