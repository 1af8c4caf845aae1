"""Where the rows of a dataset are: the `source:` of a `defs.yaml`.

Belongs here: the fields a user may write below `source:`, each with its description and bounds.
Does not belong here: reading a database (`sources`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from exporter_pipelines.contracts.strict import Strict
from exporter_pipelines.errors import ColumnMismatchError, listed

DEFAULT_URL = "EXPORTER_SOURCE_URL"
VARIABLE_NAME = r"^[A-Z][A-Z0-9_]*$"
EnvironmentName = Annotated[str, Field(pattern=VARIABLE_NAME)]
TimeEncoding = Literal[
    "iso8601", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "julian_day", "core_data",
    "webkit_us", "filetime", "dotnet_ticks",
]  # fmt: skip


class SourceConfig(Strict):
    """Where the rows of a dataset are."""

    url: EnvironmentName = Field(
        DEFAULT_URL,
        description="Name of the environment variable that holds the database URL; never a URL.",
    )
    table: str | None = Field(
        None,
        description="Table or view, `name` or `schema.name`; case matters. "
        "Exactly one of `table` and `query` is given.",
        min_length=1,
    )
    query: str | None = Field(
        None,
        description="A SELECT to read instead of a table. It is executed as written, so it must "
        "come from someone who may read the database.",
        min_length=1,
    )
    key: str = Field("id", description="Exported column that identifies a row.")
    time_column: str = Field(description="Exported column that decides the day of a row.")
    timezone: str | None = Field(
        None,
        description="IANA zone of times stored without one (`timestamp`, `date`, text).",
    )
    encodings: dict[str, TimeEncoding] = Field(
        default_factory=dict,
        description="Exported time column -> unit of its numbers: `epoch_s`, `epoch_ms`, "
        "`epoch_us`, `epoch_ns`, `julian_day`, `core_data`, `webkit_us`, `filetime` or "
        "`dotnet_ticks`. Text is always read as `iso8601`.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Exported name -> source name. Columns that are not listed keep their name.",
    )
    retries: int = Field(
        3,
        ge=0,
        le=20,
        description="How often a day is retried after a temporary failure: a lost connection, a "
        "restarting server. The wait grows with each retry, from 2 s.",
    )
    stall_timeout_s: float = Field(
        300,
        gt=0,
        le=86_400,
        description="Longest wait, in seconds, for PostgreSQL to send the next rows, or to answer "
        "a quick statement.",
    )
    answer_timeout_s: float = Field(
        3600,
        gt=0,
        le=86_400,
        description="Longest wait, in seconds, for the count of a day and for its first rows; "
        "PostgreSQL may have to sort the day first.",
    )
    updated_column: str | None = Field(
        None,
        min_length=1,
        description="Source column, exported or not, that increases with every update of a row. "
        "With it, late data detection also finds changed rows.",
    )

    keeps_days: int | None = Field(
        None,
        ge=1,
        description="Number of days, including today, for which the source keeps its rows; null "
        "for all. Older published days are neither compared with the source nor exported again.",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in _zones():
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Berlin")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> SourceConfig:
        if (self.table is None) == (self.query is None):
            raise ValueError("give exactly one of `table` and `query`")
        return self

    @property
    def origin(self) -> str:
        """The table as configured; for a query `query` and a short hash of its text."""
        if self.query is None:
            return self.table or ""
        return f"query {hashlib.sha256(self.query.encode()).hexdigest()[:12]}"

    @property
    def needed(self) -> set[str]:
        """Exported columns that the source must have, even if the schema makes them optional."""
        return {*self.columns, self.key, self.time_column}

    def require_updated_column(self, names: Collection[str]) -> None:
        """Check that the source has the `updated_column`, if one is configured.

        Raises:
            ColumnMismatchError: it is missing.
        """
        if self.updated_column is not None and self.updated_column not in names:
            raise ColumnMismatchError(
                f"updated_column {self.updated_column!r} of {self.origin!r} does not exist "
                f"(there are: {listed(names)}).",
                "Write the column's name in the database, or remove `updated_column`.",
            )

    def encoding(self, column: str) -> TimeEncoding:
        """The encoding of an exported time column; `iso8601` unless one is configured."""
        return self.encodings.get(column, "iso8601")


@cache
def _zones() -> set[str]:
    """IANA names; cached, since listing them reads a thousand files for each dataset."""
    return available_timezones()
