"""A dataset: the attributes of a `defs.yaml`, and the same with its row schema loaded.

Belongs here: the fields a user may write in a `defs.yaml`, each with its description and bounds.
Does not belong here: reading the file (Dagster's Components do), or knowing which formats exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from exporter_pipelines.contracts.effective_rules import check_thresholds, with_rules, without
from exporter_pipelines.contracts.late_data import LateDataConfig
from exporter_pipelines.contracts.refinements import (
    FilterConfig,
    RuleConfig,
    Threshold,
    TransformConfig,
)
from exporter_pipelines.contracts.retention import RetentionConfig
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.strict import Strict
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    UnknownNameError,
)

_BESIDE_CONTENT: dict[str, Any] = {
    "description": True,
    "max_rejected_pct": True,
    "max_rejected_rows": True,
    "schedule": True,
    "late_data": True,
    "retention": True,
    "source": {"url", "retries", "stall_timeout_s", "answer_timeout_s", "updated_column"},
}
"""Fields that say when, how patiently and whether a day is exported, not what is in its files."""

EnvironmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
# Becomes an asset key and a folder name, so nothing that could leave the output folder.
DATASET_NAME = r"^[a-z][a-z0-9_]{0,62}$"
DatasetName = Annotated[str, Field(pattern=DATASET_NAME)]
# As Dagster wants it, which reports another one without its line.
Owner = Annotated[
    str, Field(pattern=r"^(team:[A-Za-z0-9_]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})$")
]
TimeEncoding = Literal["iso8601", "epoch_s", "epoch_ms", "epoch_us"]


class SourceConfig(Strict):
    """Where the rows of a dataset are."""

    url: EnvironmentName = Field(
        "EXPORTER_SOURCE_URL",
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
        description="A SELECT to read instead of a table. It runs as it stands, so it must come "
        "from someone who may read the database.",
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
        description="Exported time column: how its numbers count, `epoch_s`, `epoch_ms` or "
        "`epoch_us`. Text is always read as `iso8601`.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Exported name: source name. Columns left out keep their own name.",
    )
    retries: int = Field(
        3,
        ge=0,
        le=20,
        description="How often a day is begun anew after trouble that may pass by itself: a lost "
        "connection, a server that restarts. Each waits longer, 2 s at first.",
    )
    stall_timeout_s: float = Field(
        300,
        gt=0,
        le=86_400,
        description="Longest wait, in seconds, for a PostgreSQL server that owes an answer at "
        "once, or the next rows.",
    )
    answer_timeout_s: float = Field(
        3600,
        gt=0,
        le=86_400,
        description="Longest wait, in seconds, for the count of a day and for its first rows, "
        "before which PostgreSQL may have to sort the day.",
    )
    updated_column: str | None = Field(
        None,
        min_length=1,
        description="Column of the source, exported or not, that every change of a row moves "
        "forward; with it, late data finds changed rows as well.",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
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
        """Exported columns that the source must have, whatever the schema leaves open."""
        return {*self.columns, self.key, self.time_column}

    def require_updated_column(self, names: Collection[str]) -> None:
        """See that the source has the `updated_column`, if one is named.

        Raises:
            ColumnMismatchError: it does not.
        """
        if self.updated_column is not None and self.updated_column not in names:
            raise ColumnMismatchError(
                f"updated_column {self.updated_column!r} of {self.origin!r} does not exist "
                f"(there are: {', '.join(names)}).",
                "Write the name as the database has it, or leave it out.",
            )

    def encoding(self, column: str) -> TimeEncoding:
        """How the numbers of an exported time column count; `iso8601` when none are expected."""
        return self.encodings.get(column, "iso8601")


class DatasetConfig(Strict):
    """The attributes of a `defs.yaml`: everything that differs between two backends."""

    name: DatasetName = Field(description="Asset key and folder name.")
    row_schema: str = Field(
        alias="schema", description="Dotted path of the Pandera model: what a row is."
    )
    description: str = Field("", description="Shown in the Dagster UI.")
    owners: tuple[Owner, ...] = Field(
        (),
        description="Who answers for it: mail addresses or `team:name`, shown in Dagster's catalog "
        "and not written to manifests.",
        exclude=True,
    )
    source: SourceConfig = Field(description="Where the rows are.")
    transforms: tuple[TransformConfig, ...] = Field((), description="Applied in this order.")
    filters: tuple[FilterConfig, ...] = Field(
        (), description="Applied after the transforms and before validation; all must be true."
    )
    validation: Literal["basic", "strict"] = Field(
        "strict", description="`basic`: required fields and types. `strict`: the rules as well."
    )
    rules: tuple[RuleConfig, ...] = Field((), description="Rules beside those of the schema.")
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict,
        description="Rule: `warn` (never counts toward holding), `hold` (one row holds the day) "
        "or `ignore` (not applied).",
    )
    select: tuple[str, ...] | None = Field(
        None,
        description="The columns to export, in this order; null for all. Key and time column must "
        "be among them.",
    )
    format: str = Field("jsonl", description="File format.")
    compression: str = Field("gzip", description="`none`, `gzip` or `zstd`.")
    max_file_records: int | None = Field(
        None,
        ge=1,
        description="Most rows in a data file; a day with more has several. Null: one file a day.",
    )
    max_rejected_pct: float = Field(
        1.0, ge=0, le=100, description="A day is held above this AND max_rejected_rows."
    )
    max_rejected_rows: int = Field(
        10, ge=0, description="A day is held above this AND max_rejected_pct."
    )
    max_value_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1,
        le=256 * 1024 * 1024,
        description="A row with a larger value is rejected; the value is cut off in SQL.",
    )
    schedule: str | None = Field(
        "15 2 * * *", description="Cron of the daily export, in EXPORTER_TIMEZONE; null for none."
    )
    late_data: LateDataConfig = Field(
        LateDataConfig(),
        description="What becomes of published days whose source rows have changed since.",
    )
    retention: RetentionConfig | None = Field(
        None, description="What `exporter prune` may remove; null for nothing."
    )

    def content_settings(self) -> dict[str, Any]:
        """The settings that decide which bytes come out, as in a `defs.yaml`.

        Two configurations with equal ones give the same files from the same rows.
        """
        return self.model_dump(mode="json", by_alias=True, exclude=_BESIDE_CONTENT)

    @property
    def sql_rules(self) -> tuple[tuple[str, str], ...]:
        """(name, boolean expression) of the rules that the source evaluates for each row.

        A source that cannot must refuse the dataset with a ConfigurationError.
        """
        if self.validation == "basic":
            return ()
        return tuple(
            (rule.name, rule.sql) for rule in self.rules if rule.sql and self.applies(rule.name)
        )

    def applies(self, rule: str) -> bool:
        """Whether a rule is not ignored."""
        return self.thresholds.get(rule) != "ignore"

    def rules_that(self, threshold: Threshold) -> frozenset[str]:
        """Names of the rules with this threshold."""
        return frozenset(name for name, value in self.thresholds.items() if value == threshold)


@dataclass(frozen=True)
class Dataset:
    """A dataset as the engine sees it: configuration plus what a row is.

    Raises:
        UnknownNameError: `key`, `time_column`, `columns`, `select` or `rules` name a column that
            the schema lacks, or `thresholds` a rule that does not exist.
        ConfigurationError: the time column of the schema is not a required timestamp, `select`
            lacks a column that it must have, or a rule cannot be used.
    """

    config: DatasetConfig
    schema: RowSchema
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.config.name)
        source = self.config.source
        for kind, column in (
            ("key", source.key),
            ("time_column", source.time_column),
            *(("columns:", name) for name in source.columns),
            *(("encodings:", name) for name in source.encodings),
        ):
            if column not in self.schema.names:
                raise UnknownNameError(
                    f"{kind} column",
                    column,
                    self.schema.names,
                    f"Write the name as {self.schema.model} exports it; "
                    "`columns:` maps it to the name in the database.",
                )
        time = self.schema[source.time_column]
        if not time.is_timestamp or time.nullable:
            raise ConfigurationError(
                f"time_column {time.name!r} is not a required timestamp in {self.schema.model}.",
                'Declare it as `Annotated[pa.timestamp, "us", "UTC"]` without nullable.',
            )
        for name in source.encodings:
            if not self.schema[name].is_timestamp:
                raise ConfigurationError(
                    f"encodings: {name!r} is not a timestamp in {self.schema.model}.",
                    "Only time columns have an encoding.",
                )
        check_select(self.config, self.schema)
        check_thresholds(self.config.thresholds, self.schema, self.config.rules)
        self.judging(self.schema)

    def judging(self, schema: RowSchema) -> RowSchema:
        """What rows are judged by: `schema` with the rules that this dataset applies.

        Args:
            schema: This dataset's, or the same as bound to a source.
        """
        config = self.config
        if config.validation == "basic":
            return schema.without_rules()
        return without(with_rules(schema, config.rules), config.rules_that("ignore"))

    def exported(self, schema: RowSchema) -> RowSchema:
        """`schema` with the columns that are exported, in their order."""
        return schema if self.config.select is None else schema.selected(self.config.select)

    def source_name(self, column: str) -> str:
        """The name in the database of an exported column."""
        return self.config.source.columns.get(column, column)


def check_select(config: DatasetConfig, schema: RowSchema) -> None:
    """See that `select:` names columns, each once, with key and time column among them.

    Raises:
        ConfigurationError: it does not.
    """
    if config.select is None:
        return
    for column in config.select:
        if column not in schema.names:
            raise UnknownNameError("select: column", column, schema.names)
        if config.select.count(column) > 1:
            raise ConfigurationError(f"select: column {column!r} is named twice.")
    for column in (config.source.key, config.source.time_column):
        if column not in config.select:
            raise ConfigurationError(
                f"select: column {column!r} is missing.",
                "Key and time column are always exported.",
            )
