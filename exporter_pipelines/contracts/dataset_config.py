"""The attributes of a dataset's `defs.yaml`.

Belongs here: the fields a user may write, each with its description and bounds, and which of them
decide the content of the files. Does not belong here: reading the file, or knowing which formats
exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.effective_rules import with_rules, without
from exporter_pipelines.contracts.late_data import LateDataConfig
from exporter_pipelines.contracts.privacy import (
    PrivacyConfig,
    stated,
)
from exporter_pipelines.contracts.refinements import (
    FilterConfig,
    RuleConfig,
    Threshold,
    TransformConfig,
)
from exporter_pipelines.contracts.retention import RetentionConfig
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.source_config import SourceConfig
from exporter_pipelines.contracts.strict import Strict

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
