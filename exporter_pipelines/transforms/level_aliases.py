"""Maps the many spellings of a log level to five: DEBUG INFO WARNING ERROR CRITICAL.

Covers syslog severities (RFC 5424, table 2: 0 emergency to 7 debug) as words and as numbers,
Python's and Java's names, in any case. An unknown spelling is not changed; the rules judge it.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_ALIASES = {
    "DEBUG": ("7", "dbg", "trace", "verbose", "fine", "finer", "finest"),
    "INFO": ("6", "5", "inf", "information", "informational", "notice", "note", "config"),
    "WARNING": ("4", "warn", "wrn"),
    "ERROR": ("3", "err", "severe"),
    "CRITICAL": ("2", "1", "0", "crit", "fatal", "alert", "emerg", "emergency", "panic"),
}
_LEVEL_OF = {
    alias.upper(): level for level, aliases in _ALIASES.items() for alias in (*aliases, level)
}


class LevelAliases:
    """Maps a text column onto `LEVELS` and counts what it changed as `level_aliases`."""

    name: ClassVar[str] = "level_aliases"
    version: ClassVar[int] = 1

    class Params(BaseModel):
        """Parameters in `defs.yaml`."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        column: str = Field("level", description="The text column that holds the level.")
        aliases: dict[str, str] = Field(
            default_factory=dict,
            description="More spellings, in any case: spelling -> level. They override the "
            "built-in ones.",
        )
        default: str | None = Field(
            None,
            min_length=1,
            description="Level of every other spelling, counted as `level_aliases_default`; null: "
            "it is not changed. A missing value stays missing.",
        )

    def __init__(self, params: Params, schema: RowSchema) -> None:
        if params.column not in schema.names:
            raise UnknownNameError(f"transform {self.name}: column", params.column, schema.names)
        if not pa.types.is_string(schema[params.column].type):
            raise ConfigurationError(
                f"transform {self.name}: column {params.column!r} is not text.",
                "Declare it as pa.string in the schema; numbers are then read as text.",
            )
        allowed = schema[params.column].values
        if params.default is not None and allowed and params.default not in allowed:
            raise ConfigurationError(
                f"transform {self.name}: default {params.default!r} is not a value of "
                f"{params.column!r}.",
                f"Write one of {', '.join(allowed)}.",
            )
        self._params = params
        own = {spelling.strip().upper(): level for spelling, level in params.aliases.items()}
        self._level_of = {**_LEVEL_OF, **own}
        if params.default is not None:
            self._level_of.setdefault(params.default.strip().upper(), params.default)

    @property
    def applied(self) -> Transformation:
        """For the manifest."""
        # Manifests of datasets without a default stay as they were.
        unused = {"default"} if self._params.default is None else set()
        return Transformation(
            name=self.name, version=self.version, params=self._params.model_dump(exclude=unused)
        )

    def __call__(self, batch: pa.RecordBatch, changed: Counter[str]) -> pa.RecordBatch:
        """The batch with the column mapped; the number of changed values goes to `changed`."""
        position = batch.schema.get_field_index(self._params.column)
        before = batch.column(position)
        # A day has a handful of spellings, so Python handles only the dictionary.
        encoded = before.dictionary_encode()
        spellings = encoded.dictionary.to_pylist()
        known = [self._level_of.get(text.strip().upper()) for text in spellings]
        levels = [
            (self._params.default or text) if level is None else level
            for level, text in zip(known, spellings, strict=True)
        ]
        after = pa.array(levels, before.type).take(encoded.indices)
        changes = pc.sum(pc.not_equal(before, after)).as_py() or 0
        if self._params.default is not None:
            unknown = pa.array([level is None for level in known], pa.bool_())
            defaulted = pc.sum(unknown.take(encoded.indices)).as_py() or 0
            changed[f"{self.name}_default"] += defaulted
            changes -= defaulted
        changed[self.name] += changes
        return batch.set_column(position, batch.schema.field(position), after)
