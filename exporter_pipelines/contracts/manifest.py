"""`_manifest.json`: the public description of a published day.

Readers rely on these names. Fields may be added; to change or remove one, raise
`manifest_version`. `docs/manifest.md` and `docs/manifest.schema.json` are generated from this
file, and a test compares them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic.json_schema import SkipJsonSchema

from exporter_pipelines.contracts.checked_values import (
    DayName,
    FileName,
    Metric,
    Moment,
    Number,
    Sha256,
)
from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.erasure import Erasure

MANIFEST_NAME = "_manifest.json"

_UNSEALED = "0" * 64


def sealed_json(document: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest with its `manifest_sha256`; unknown fields are kept.

    Args:
        document: A manifest as `json.loads` gives it; an earlier checksum is replaced.
    """
    unsealed = {**document, "manifest_sha256": _UNSEALED}
    data = (json.dumps(unsealed, indent=2, ensure_ascii=False) + "\n").encode()
    return data.replace(_UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode())


class _Part(BaseModel):
    # Unknown fields are ignored, so that an older version can still replace a newer export.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Window(_Part):
    """The half-open interval of the day."""

    start: Moment = Field(
        description="First instant of the day, UTC.", examples=["2026-11-01T00:00:00Z"]
    )
    end: Moment = Field(
        description="First instant after the day, UTC.", examples=["2026-11-02T00:00:00Z"]
    )
    timezone: str = Field(description="IANA zone whose midnights bound the day.", examples=["UTC"])


class DataFile(_Part):
    """One published data file."""

    path: FileName = Field(
        description="Relative to the manifest.", examples=["logs-2026-11-01.jsonl.gz"]
    )
    format: str = Field(description="File format.", examples=["jsonl"])
    compression: str = Field(description="`none`, `gzip` or `zstd`.", examples=["gzip"])
    record_count: Number = Field(description="Rows in the file.", examples=[1987])
    size_bytes: Number = Field(description="Size of the file on disk.", examples=[81231])
    sha256: Sha256 = Field(
        description="SHA-256 of the file on disk, hexadecimal.", examples=["9f86d081884c7d65..."]
    )
    min_timestamp: Moment | None = Field(
        description="Earliest value of the time column, UTC.",
        examples=["2026-11-01T00:00:00Z"],
    )
    max_timestamp: Moment | None = Field(
        description="Latest value of the time column, UTC.",
        examples=["2026-11-01T23:59:58.123456Z"],
    )


class Quarantine(_Part):
    """The rejected rows of this export."""

    path: str = Field(
        description="Relative to the dataset's folder.",
        examples=["quarantine/date=2026-11-01/logs-2026-11-01.1f0c2d3e-9a41c07b.jsonl.gz"],
    )
    record_count: Number = Field(description="Rows in the file.", examples=[13], ge=1)
    sha256: Sha256 = Field(
        description="SHA-256 of the file on disk, hexadecimal.", examples=["60303ae22b998861..."]
    )


class Counts(_Part):
    """Every row of the day: `read = exported + rejected + filtered + erased`."""

    read: Number = Field(description="Rows read from the source.", examples=[2000])
    exported: Number = Field(description="Rows in the data files.", examples=[1987])
    rejected: Number = Field(description="Rows in the quarantine.", examples=[13])
    filtered: Number = Field(description="Rows left out by a filter.", examples=[0])
    erased: Number = Field(
        0,
        description="Rows left out because of an erasure; absent when there are none.",
        examples=[12],
        exclude_if=lambda value: value == 0,
    )


class RuleResult(_Part):
    """One rule and how many rows broke it."""

    rule: str = Field(description="Name of the rule.", examples=["known_level"])
    column: str | None = Field(
        description="Column that it judges; null for a rule over whole rows.", examples=["level"]
    )
    failed: Number = Field(description="Rows that broke it.", examples=[7])


class Validation(_Part):
    """The rules that were applied."""

    level: str = Field(description="`basic` or `strict`.", examples=["strict"])
    rules: list[RuleResult] = Field(
        description="Every rule that was applied, including those that no row broke.",
        examples=[[{"rule": "known_level", "column": "level", "failed": 7}]],
    )


class Transformation(_Part):
    """One change that was applied to the rows."""

    name: str = Field(description="Name of the transform.", examples=["level_aliases"])
    version: int = Field(description="Increased when its result changes.", examples=[1])
    params: dict[str, Any] = Field(description="Its parameters.", examples=[{"column": "level"}])


class Source(_Part):
    """Where the rows came from; never a URL."""

    kind: str = Field(
        description="Kind of database, such as `postgresql`.", examples=["postgresql"]
    )
    table: str = Field(
        description="Table as configured; for a query `query` and a short hash of its text.",
        examples=["logs"],
    )
    snapshot: str = Field(
        description="The database's identifier of the snapshot that was read; for SQLite how it "
        "was read (`wal` or `copy`), and its number of pages.",
        examples=["752:752:"],
    )
    server_version: str = Field(description="Version of the database.", examples=["18.4"])
    columns_not_exported: list[str] = Field(
        default_factory=list,
        description="Columns of the table that are in no exported column, under their names there.",
        examples=[["session_token"]],
    )
    fingerprint: SkipJsonSchema[str | None] = Field(None, exclude_if=lambda value: value is None)
    """Read from manifests of version 0.1.0, never written: see `stores.local.fingerprints`."""


class Run(_Part):
    """The run that published the day."""

    run_id: str = Field(
        description="Dagster's run id.", examples=["1f0c2d3e-5a6b-4c7d-8e9f-0a1b2c3d4e5f"]
    )
    code_version: str = Field(description="Version of exporter_pipelines.", examples=["0.2.0"])
    started_at: Moment = Field(
        description="When work on this day began, UTC.", examples=["2026-11-02T02:15:04Z"]
    )
    duration_s: float = Field(
        description="Seconds from `started_at` to the end of staging.", examples=[0.41], ge=0
    )
    driver: str | None = Field(
        None,
        description="Driver that read PostgreSQL: name, version, and `wheel` for that of the "
        "Python package. Absent for SQLite, and in manifests of earlier versions.",
        examples=["libadbc_driver_postgresql 1.13.0 (wheel)"],
        exclude_if=lambda value: value is None,
    )


class ColumnSchema(_Part):
    """One column of the exported rows."""

    name: str = Field(description="Name in the files.", examples=["timestamp"])
    type: Literal["int64", "double", "bool", "string", "timestamp[us, tz=UTC]", "json"] = Field(
        description="int64, double, bool, string, timestamp[us, tz=UTC] or json.",
        examples=["timestamp[us, tz=UTC]"],
    )
    nullable: bool = Field(
        description="Whether the schema allows null, or the files have one.", examples=[False]
    )
    null_count: Number | None = Field(
        None,
        description="Nulls in the data files; absent in manifests of earlier versions.",
        examples=[0],
        exclude_if=lambda value: value is None,
    )
    extra: str | None = Field(
        None,
        description="Only for columns that `extra_columns: keep` adds: the name in the source.",
        examples=["region"],
        exclude_if=lambda value: value is None,
    )


class LeakCheck(_Part):
    """What the check `no_raw_identifiers` searched."""

    patterns: Number = Field(description="Raw values that were looked for.", examples=[23827])
    not_searched: Number = Field(
        description="Names that are too short, numbers or ordinary words; text may have them.",
        examples=[12],
    )
    hits: Number = Field(description="Identifiers that were found.", examples=[0])
    size_bytes: Number = Field(description="Bytes that were searched.", examples=[81641581])
    addresses: Number = Field(
        description="Pseudonyms that look like addresses, and addresses that identify nobody, in "
        "columns that the policy masks; `exporter verify --privacy` counts them again.",
        examples=[690624],
    )


class Privacy(_Part):
    """The privacy policy under which the day was exported; never a key or a raw value."""

    policy_version: int = Field(description="Increased when pseudonyms change.", examples=[1])
    key_id: str = Field(
        description="Names the key; equal for days with the same key.", examples=["a1b2c3d4"]
    )
    epoch: str = Field(
        description="Days of the same key, epoch and scope have the same pseudonyms.",
        examples=["2026-11"],
    )
    scope: str = Field(description="`shared`, or `dataset:` and a name.", examples=["shared"])
    columns: dict[str, str] = Field(
        description="Column -> action of the policy; `unlisted` if it names none.",
        examples=[{"ip": "pseudonym:ip", "message": "scan"}],
    )
    replaced: dict[str, Number] = Field(
        description="Kind -> values that were replaced in the data files. `known`: names from "
        "columns that were found in text.",
        examples=[{"ip": 690624, "email": 33259, "known": 144600}],
    )
    leak_check: LeakCheck | None = Field(
        None, description="Result of the check `no_raw_identifiers`.", examples=[{}]
    )


def same_pseudonyms(one: Privacy | None, other: Privacy | None) -> bool:
    """Whether two exports have the same policy, so that their values can be compared."""
    if one is None or other is None:
        return one is other
    ignored = {"replaced", "leak_check"}
    return one.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)


class Manifest(BaseModel):
    """A published day: what it holds, how it was made, and how to verify it."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False
    )

    manifest_version: Literal[1] = Field(
        1, description="Version of the manifest format.", examples=[1]
    )
    dataset: DatasetName = Field(description="Name of the dataset.", examples=["logs"])
    partition: DayName = Field(description="The day.", examples=["2026-11-01"])
    status: Literal["published"] = Field(
        "published",
        description="Always `published`; a held day has no manifest.",
        examples=["published"],
    )
    window: Window = Field(description="The day as an interval.", examples=[{}])
    export_timestamp: Moment = Field(
        description="When the day was published, UTC.", examples=["2026-11-02T02:15:04.512345Z"]
    )
    data_version: str = Field(
        description="Hash of the content: the same rows, configuration and code give the same "
        "version.",
        examples=["b94d27b9934d3e08..."],
    )
    record_count: Number = Field(description="Rows exported.", examples=[1987])
    file_size: Number = Field(
        description="Total size of the data files on disk, in bytes.", examples=[81231]
    )
    files: list[DataFile] = Field(description="Empty for a day without rows.", examples=[[{}]])
    counts: Counts = Field(
        description="Rows read, exported, rejected, filtered and erased.", examples=[{}]
    )
    quarantine: Quarantine | None = Field(
        description="The rejected rows; null when there are none.", examples=[None]
    )
    data_quality_metrics: dict[str, Metric] = Field(
        description="Metric -> number. `rejected_pct` and `validity_pct` refer to the rows read, "
        "`completeness_pct` to the rows exported.",
        examples=[{"rejected_pct": 0.65, "completeness_pct.level": 100.0}],
    )
    validation: Validation = Field(description="The rules that were applied.", examples=[{}])
    transformations: list[Transformation] = Field(
        description="In the order in which they were applied.", examples=[[{}]]
    )
    columns: list[ColumnSchema] = Field(
        alias="schema", description="The exported columns.", examples=[[{}]]
    )
    export_config: dict[str, Any] = Field(
        description="The dataset's configuration, as in its defs.yaml; names of environment "
        "variables, never their values.",
        examples=[{"format": "jsonl", "compression": "gzip"}],
    )
    source: Source = Field(description="Where the rows came from.", examples=[{}])
    run: Run = Field(description="The run that published the day.", examples=[{}])
    privacy: Privacy | None = Field(
        None,
        description="The privacy policy; absent without one.",
        examples=[{}],
        exclude_if=lambda value: value is None,
    )
    erasure: list[Erasure] = Field(
        default_factory=list,
        description="What was erased, one entry per request; absent when nothing was.",
        examples=[[{}]],
        exclude_if=lambda value: not value,
    )
    manifest_sha256: Sha256 | None = Field(
        None,
        description="SHA-256 of this file with these 64 digits replaced by zeros; absent in "
        "manifests of earlier versions.",
        examples=["2c26b46b68ffc68f..."],
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Manifest:
        counts = self.counts
        left_out = counts.rejected + counts.filtered + counts.erased
        if counts.read != counts.exported + left_out:
            raise ValueError("counts: read is not exported + rejected + filtered + erased")
        if self.record_count != counts.exported:
            raise ValueError("record_count is not counts.exported")
        if self.record_count != sum(file.record_count for file in self.files):
            raise ValueError("record_count is not the sum over files")
        if self.file_size != sum(file.size_bytes for file in self.files):
            raise ValueError("file_size is not the sum over files")
        if counts.rejected != (self.quarantine.record_count if self.quarantine else 0):
            raise ValueError("counts.rejected is not quarantine.record_count")
        return self

    @model_validator(mode="after")
    def _unchanged(self, info: ValidationInfo) -> Manifest:
        data = (info.context or {}).get("data")
        if data is None or "manifest_sha256" not in self.model_fields_set:
            return self
        stated = self.manifest_sha256 or ""
        if hashlib.sha256(data.replace(stated.encode(), _UNSEALED.encode())).hexdigest() != stated:
            raise ValueError("manifest_sha256 does not match: the file was changed after writing")
        return self

    def source_setting(self, name: str) -> str | None:
        """A text below `source:` in the configuration, such as `key`; None if it has none."""
        source = self.export_config.get("source")
        value = source.get(name) if isinstance(source, dict) else None
        return value if isinstance(value, str) else None

    def sealed(self) -> Manifest:
        """A copy with its `manifest_sha256`; call this last."""
        unsealed = self.model_copy(update={"manifest_sha256": _UNSEALED})
        digest = hashlib.sha256(unsealed.to_json()).hexdigest()
        return self.model_copy(update={"manifest_sha256": digest})

    def to_json(self) -> bytes:
        """The bytes of `_manifest.json`: indented, UTF-8, one trailing newline."""
        return (self.model_dump_json(indent=2, by_alias=True) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            pydantic.ValidationError: these bytes are not a manifest of this version, its numbers
                do not add up, or its `manifest_sha256` does not match.
        """
        return cls.model_validate_json(data, context={"data": data})

    @classmethod
    def if_readable(cls, data: bytes | None) -> Manifest | None:
        """Read a manifest; None when it is absent (None) or damaged."""
        try:
            return cls.from_json(data) if data is not None else None
        except ValidationError:
            return None
