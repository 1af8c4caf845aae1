"""A dataset: the attributes of its `defs.yaml`, and its row schema.

Belongs here: the fields a user may write in a `defs.yaml`, each with its description and bounds.
Does not belong here: reading the file, or knowing which formats exist.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter_pipelines.contracts.column_settings import (
    SourceType,
    adjusted,
    check_default,
    check_nullable,
    extra_columns,
)
from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.effective_rules import check_thresholds, with_rules, without
from exporter_pipelines.contracts.late_data import LateDataConfig
from exporter_pipelines.contracts.privacy import (
    PrivacyConfig,
    check_policy,
    exported_under,
    stated,
)
from exporter_pipelines.contracts.refinements import (
    FilterConfig,
    RuleConfig,
    Threshold,
    TransformConfig,
)
from exporter_pipelines.contracts.reserved_names import check_column_names
from exporter_pipelines.contracts.retention import RetentionConfig
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.slices import check_slices
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.strict import Strict
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

_NOT_CONTENT: dict[str, Any] = {
    "description": True,
    "max_rejected_pct": True,
    "max_rejected_rows": True,
    "max_lost_pct": True,
    "max_lost_rows": True,
    "keep_replaced_days": True,
    "schedule": True,
    "late_data": True,
    "retention": True,
    "source": {
        "url", "retries", "stall_timeout_s", "answer_timeout_s", "updated_column", "keeps_days",
    },
}  # fmt: skip
"""Fields that decide when and whether a day is exported, but not what its files contain."""

_NOT_IN_MANIFEST: dict[str, Any] = {
    "max_lost_pct": True,
    "max_lost_rows": True,
    "keep_replaced_days": True,
    "late_data": {"deletes"},
    "source": {"keeps_days"},
}
"""Fields about earlier exports of a day. They say nothing about the published one."""

_STATED_IF_USED = ("defaults", "nullable", "extra_columns", "unreadable_json", "privacy", "slices")
"""Fields that are not written while they change nothing: the head of JSON files stays as it was."""

# The form that Dagster accepts. Dagster would report a mistake without its line in the file.
Owner = Annotated[
    str, Field(pattern=r"^(team:[A-Za-z0-9_]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})$")
]


class DatasetConfig(Strict):
    """The attributes of a `defs.yaml`: everything that differs between two backends."""

    name: DatasetName = Field(description="Asset key and folder name.")
    row_schema: str = Field(
        alias="schema", description="Dotted path of the Pandera model that describes a row."
    )
    description: str = Field("", description="Shown in the Dagster UI.")
    owners: tuple[Owner, ...] = Field(
        (),
        description="Owners: e-mail addresses or `team:name`. Shown in Dagster's catalog, not "
        "written to manifests.",
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
    rules: tuple[RuleConfig, ...] = Field(
        (), description="Rules in addition to those of the schema."
    )
    thresholds: dict[str, Threshold] = Field(
        default_factory=dict,
        description="Rule -> `warn` (its rows do not count towards the limits), `hold` (one row "
        "holds the day) or `ignore` (not applied).",
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Exported column -> value that is written where a row has none, or where the "
        "source lacks the column. Filled in after the transforms and before filters and rules; "
        "counted as `filled.<column>`.",
    )
    nullable: tuple[str, ...] = Field(
        (),
        description="Columns that may be null although the schema requires a value.",
    )
    extra_columns: Literal["ignore", "keep"] = Field(
        "ignore",
        description="Columns of the source that the schema does not name: `keep` exports them as "
        "well, after the others, with the type of the source.",
    )
    unreadable_json: Literal["reject", "text"] = Field(
        "reject",
        description="JSON documents that common readers refuse: `reject` rejects their rows, "
        "`text` exports each as a string and counts it as `changed.json_as_text`.",
    )
    privacy: PrivacyConfig | None = Field(
        None,
        description="The privacy policy: which columns are removed, pseudonymised or scanned for "
        "personal data. Null: rows are exported as they are.",
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
        description="Maximum rows in a data file; a day with more rows has several files. Null: "
        "one file per day.",
    )
    slices: int = Field(
        1,
        ge=1,
        le=1_000,
        description="Parts of equal length in which a day is read from one snapshot, by up to "
        "EXPORTER_READERS processes at once. PostgreSQL only. The bytes of the files depend on it.",
    )
    max_rejected_pct: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Percentage of rejected rows. A day is held only above both limits.",
    )
    max_rejected_rows: int = Field(
        10, ge=0, description="Number of rejected rows. A day is held only above both limits."
    )
    max_lost_rows: int = Field(
        10,
        ge=0,
        description="Number of published rows that are gone from the source. A day is held only "
        "above both limits, or if the source has no row left.",
    )
    max_lost_pct: float = Field(
        10.0,
        ge=0,
        le=100,
        description="Percentage of published rows that are gone from the source. A day is held "
        "only above both limits.",
    )
    keep_replaced_days: int = Field(
        30,
        ge=1,
        description="Number of days for which a replaced export is kept that had rows which the "
        "new one lacks.",
    )
    max_value_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1,
        le=256 * 1024 * 1024,
        description="A row with a larger value is rejected; SQL truncates the value.",
    )
    schedule: str | None = Field(
        "15 2 * * *",
        description="Cron expression of the daily export, in EXPORTER_TIMEZONE; null for none.",
    )
    late_data: LateDataConfig = Field(
        LateDataConfig(),
        description="What happens to published days whose source rows have changed.",
    )
    retention: RetentionConfig | None = Field(
        None, description="What `exporter prune` may remove; null for nothing."
    )

    def for_manifest(self) -> dict[str, Any]:
        """The settings that a manifest states, as in a `defs.yaml`."""
        return self._stated(_NOT_IN_MANIFEST)

    def content_settings(self) -> dict[str, Any]:
        """The settings that determine the content of the files, as in a `defs.yaml`.

        Configurations with equal content settings write the same files from the same rows.
        """
        return self._stated(_NOT_CONTENT)

    def _stated(self, exclude: Mapping[str, Any]) -> dict[str, Any]:
        unused = {
            name: True
            for name in _STATED_IF_USED
            if getattr(self, name)
            == type(self).model_fields[name].get_default(call_default_factory=True)
        }
        settings = self.model_dump(mode="json", by_alias=True, exclude={**exclude, **unused})
        return stated(settings) if self.privacy else settings

    def judging(self, schema: RowSchema) -> RowSchema:
        """The schema that rows are validated with: `schema` and the rules of this dataset."""
        if self.validation == "basic":
            return schema.without_rules()
        return without(with_rules(schema, self.rules), self.rules_that("ignore"))

    @property
    def sql_rules(self) -> tuple[tuple[str, str], ...]:
        """(name, boolean expression) of the rules that the source evaluates for each row.

        A source that cannot evaluate them must refuse the dataset with a ConfigurationError.
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
    """A dataset as the engine sees it: configuration plus row schema.

    Args:
        config: The configuration.
        schema: As the Pandera model declares it. The attribute is the schema that the
            configuration makes of it (`nullable`, `defaults`).

    Raises:
        UnknownNameError: `key`, `time_column`, `columns`, `select`, `rules`, `defaults` or
            `nullable` name a column that the schema lacks, or `thresholds` a rule that does not
            exist.
        ConfigurationError: the time column of the schema is not a required timestamp, `select`
            lacks a column that it must have, an exported column has a name that readers confuse, a
            default is not valid, or a rule cannot be used.
    """

    config: DatasetConfig
    schema: RowSchema
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.config.name)
        source = self.config.source
        for name in self.config.nullable:
            check_nullable(name, source, self.schema)
        object.__setattr__(
            self, "schema", adjusted(self.schema, self.config.defaults, self.config.nullable)
        )
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
        check_slices(
            self.name,
            self.config.slices,
            has_policy=self.config.privacy is not None,
            has_file_limit=self.config.max_file_records is not None,
            sql_rules=self.config.sql_rules,
        )
        check_privacy(self.config, self.schema)
        check_column_names(self.exported(self.schema).names, self.schema.model)
        check_thresholds(self.config.thresholds, self.schema, self.config.rules)
        judging = self.judging(self.schema)
        for name, value in self.config.defaults.items():
            check_default(name, value, source, judging)

    def judging(self, schema: RowSchema) -> RowSchema:
        """The schema that rows are validated with: `schema` and the rules of this dataset.

        Args:
            schema: The schema of this dataset, as declared or as bound to a source.
        """
        return self.config.judging(schema)

    def exported(self, schema: RowSchema) -> RowSchema:
        """`schema` with the columns that are exported, in their order and under the policy."""
        selected, policy = self.selected(schema), self.config.privacy
        return selected if policy is None else exported_under(policy, selected)

    def selected(self, schema: RowSchema) -> RowSchema:
        """`schema` with the columns that are exported, before the privacy policy."""
        return _selected(self.config, schema)

    def with_extra_columns(self, types: Mapping[str, SourceType]) -> Dataset:
        """The dataset as a source reads it: with the columns that `extra_columns: keep` adds.

        `select:` names all columns to export, so no others are added to them.

        Args:
            types: Source column -> type, of every column of the source.
        """
        if self.config.extra_columns == "ignore" or self.config.select is not None:
            return self
        used = {self.source_name(name) for name in self.schema.names}
        found = extra_columns(self.schema, used, types)
        if not found:
            return self
        source = self.config.source
        names = {**source.columns, **{c.name: c.extra for c in found if c.name != c.extra}}
        source = source.model_copy(update={"columns": names})
        return replace(
            self,
            config=self.config.model_copy(update={"source": source}),
            schema=self.schema.extended(found),
        )

    def named_as_in(self, names: Collection[str], longest: int | None) -> Dataset:
        """The dataset for a database that cuts off long names.

        Args:
            names: The columns of the source.
            longest: Bytes (UTF-8) of a name that the database keeps; None if it keeps all.
        """
        source, cut = self.config.source, {}
        written = [*map(self.source_name, self.schema.names), source.updated_column or ""]
        for name in written:
            kept = cut_off(name, longest)
            if name not in names and kept in names:
                cut[name] = kept
        if not cut:
            return self
        columns = {
            name: cut.get(self.source_name(name), self.source_name(name))
            for name in self.schema.names
            if name in source.columns or self.source_name(name) in cut
        }
        updated = source.updated_column and cut.get(source.updated_column, source.updated_column)
        source = source.model_copy(update={"columns": columns, "updated_column": updated})
        return replace(self, config=self.config.model_copy(update={"source": source}))

    def source_name(self, column: str) -> str:
        """The name in the database of an exported column."""
        return self.config.source.columns.get(column, column)


def content_of(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a manifest that determine the content of files.

    Args:
        stated: `export_config` of a manifest, perhaps of another version.
    """
    content = {name: value for name, value in stated.items() if _NOT_CONTENT.get(name) is not True}
    source = stated.get("source")
    if isinstance(source, Mapping):
        left_out = _NOT_CONTENT["source"]
        content["source"] = {name: v for name, v in source.items() if name not in left_out}
    return content


def check_select(config: DatasetConfig, schema: RowSchema) -> None:
    """Check that `select:` names each column once and includes key and time column.

    Raises:
        ConfigurationError: a column is unknown, repeated or missing.
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
                "Key and time column must always be exported.",
            )


def check_privacy(config: DatasetConfig, schema: RowSchema) -> None:
    """Check that the privacy policy, if there is one, covers all exported columns.

    Raises:
        ConfigurationError: it does not, or it names an unknown column.
    """
    if config.privacy is not None:
        check_policy(
            config.privacy,
            _selected(config, schema),
            config.source,
            all_columns=schema,
            open_ended=config.extra_columns == "keep",
        )


def _selected(config: DatasetConfig, schema: RowSchema) -> RowSchema:
    return schema if config.select is None else schema.selected(config.select)


def cut_off(name: str, longest: int | None) -> str:
    """The first bytes of a name in UTF-8, without a part of a character."""
    return name.encode()[:longest].decode("utf-8", "ignore")
