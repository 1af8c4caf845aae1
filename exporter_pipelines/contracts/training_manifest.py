"""`_manifest.json` of a training set: what it was built from, what is in it, what was left out."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporter_pipelines.contracts.checked_values import DayName, Moment, Number, Sha256
from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.training_set import TrainingSetConfig

BUILD_VERSION = 1
"""Raised when the same inputs and settings give other bytes."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SetFile(_Part):
    """A data file."""

    path: str = Field(description="Relative to the manifest.")
    rows: Number
    size_bytes: Number
    sha256: Sha256


class OtherFile(_Part):
    """A file that is not a data file: card, `croissant.json`, sample, templates, layouts."""

    path: str = Field(description="Relative to the manifest.")
    size_bytes: Number
    sha256: Sha256


class SplitSummary(_Part):
    """One split: its files, and what they hold."""

    rows: Number = Field(description="Examples.")
    positives: Number = Field(description="Examples with label 1.")
    unlabelled: Number = Field(description="Examples whose label is null.")
    first: Moment | None = Field(description="Begin of its first example, UTC.")
    last: Moment | None = Field(description="Begin of its last example, UTC.")
    files: list[SetFile]


class CheckResult(_Part):
    """The result of a check when the set was built."""

    check: str
    passed: bool
    sentence: str
    numbers: dict[str, int | float | str]


class SetColumn(_Part):
    """A column of the data files."""

    name: str
    type: str = Field(description="Arrow's name of the type.")


class TrainingManifest(_Part):
    """A published training set."""

    training_set_version: Literal[1] = 1
    name: str
    description: str
    data_version: Sha256 = Field(
        description="Hash of settings, inputs and build version: the same version has the same "
        "data files, byte for byte."
    )
    code_version: str
    built_at: Moment
    config: dict[str, Any] = Field(description="The settings of its defs.yaml.")
    inputs: dict[DatasetName, dict[DayName, str]] = Field(
        description="Dataset -> day -> data_version."
    )
    left_out_days: dict[DayName, str] = Field(description="Day -> why it was not used.")
    privacy: list[str] = Field([], description="Pseudonyms of the inputs: key id, epoch, scope.")
    rows_read: Number
    rows_left_out: dict[str, Number] = Field(description="Reason -> rows that are in no example.")
    labels: dict[str, Number] = Field(description="Label source -> rows that it labels.")
    columns: list[SetColumn]
    templates: Number = Field(description="Different message templates, see templates.parquet.")
    splits: dict[str, SplitSummary]
    other_files: list[OtherFile] = Field(
        [], description="Card, croissant.json, sample, templates and layouts."
    )
    checks: list[CheckResult]

    def files(self) -> list[SetFile | OtherFile]:
        """All files that a trainer may have: data files, then the others."""
        data = [file for split in self.splits.values() for file in split.files]
        return [*data, *self.other_files]

    def to_json(self) -> bytes:
        """The bytes of the file."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def if_readable(cls, data: bytes) -> TrainingManifest | None:
        """The manifest; None when these bytes are not one."""
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None


def data_version(config: TrainingSetConfig, inputs: dict[str, dict[str, str]]) -> str:
    """The version of a set that is built with these settings from these days."""
    facts = {
        "build": BUILD_VERSION,
        "config": config.model_dump(mode="json", exclude={"description", "rebuild"}),
        "inputs": inputs,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
