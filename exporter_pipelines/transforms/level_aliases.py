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

    def __init__(self, params: Params, schema: RowSchema) -> None:
        if params.column not in schema.names:
            raise UnknownNameError(f"transform {self.name}: column", params.column, schema.names)
        if not pa.types.is_string(schema[params.column].type):
            raise ConfigurationError(
                f"transform {self.name}: column {params.column!r} is not text.",
                "Declare it as pa.string in the schema; numbers are then read as text.",
            )
        self._params = params
        own = {spelling.strip().upper(): level for spelling, level in params.aliases.items()}
        self._level_of = {**_LEVEL_OF, **own}

    @property
    def applied(self) -> Transformation:
        """For the manifest."""
        return Transformation(
            name=self.name, version=self.version, params=self._params.model_dump()
        )

    def __call__(self, batch: pa.RecordBatch, changed: Counter[str]) -> pa.RecordBatch:
        """The batch with the column mapped; the number of changed values goes to `changed`."""
        position = batch.schema.get_field_index(self._params.column)
        before = batch.column(position)
        # A day has a handful of spellings, so Python handles only the dictionary.
        encoded = before.dictionary_encode()
        spellings = encoded.dictionary.to_pylist()
        levels = [self._level_of.get(text.strip().upper(), text) for text in spellings]
        after = pa.array(levels, before.type).take(encoded.indices)
        changed[self.name] += pc.sum(pc.not_equal(before, after)).as_py() or 0
        return batch.set_column(position, batch.schema.field(position), after)
