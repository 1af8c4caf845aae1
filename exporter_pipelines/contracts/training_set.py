"""A training set: examples made of published days, labelled and split.

Belongs here: the settings in its `defs.yaml`, and what one setting demands of another.
Does not belong here: whether the datasets exist, and how the set is built (`training`).
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.strict import Strict

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    """`90s`, `5m`, `1h` or `2d`."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a whole number with s, m, h or d, such as 5m")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


Duration = Annotated[dt.timedelta, BeforeValidator(_duration)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Keep = Annotated[float, Field(ge=0, le=1)]


class Days(Strict):
    """Which published days the examples come from."""

    first: dt.date | None = Field(None, description="First day.")
    last: dt.date | None = Field(None, description="Last day, included.")
    trailing: int | None = Field(
        None,
        ge=1,
        le=3660,
        description="Instead: this number of days up to the newest published one.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.trailing is None) == (self.first is None) or (self.first is None) != (
            self.last is None
        ):
            raise ValueError("write either first and last, or trailing")
        if self.first and self.last and self.last < self.first:
            raise ValueError(f"the last day {self.last} is before the first day {self.first}")
        return self


class Condition(Strict):
    """Which rows of a label dataset count: one column, an operator, a value."""

    column: str = Field(description="A column of the label dataset.")
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "is_null", "not_null"] = Field(
        description="`eq`, `ne`, `lt`, `le`, `gt`, `ge`, `in`, `not_in`, `is_null` or `not_null`."
    )
    value: Any = Field(None, description="Of the column's type; a list for `in` and `not_in`.")

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        takes = "none" if self.op in ("is_null", "not_null") else "list" if "in" in self.op else "1"
        given = "none" if self.value is None else "list" if isinstance(self.value, list) else "1"
        if takes != given or self.value == []:
            word = {"none": "no value", "list": "a list of values", "1": "one value"}[takes]
            raise ValueError(f"{self.op} takes {word}")
        return self


class LabelSource(Strict):
    """Rows of another dataset that make an example positive."""

    dataset: DatasetName = Field(description="Usually `anomalies`.")
    by: dict[str, str] = Field(
        min_length=1,
        max_length=1,
        description="Column of the label dataset: column of the rows, such as `log_id: id`.",
    )
    within: Duration | None = Field(
        None,
        description="The label's time is at most this long after the row's. Required unless `by` "
        "matches the key of the rows: an address or a device alone would label every row it has.",
    )
    when: list[Condition] = Field(
        [], description="Conditions that a label must fulfil, all of them."
    )


class Dedup(Strict):
    """Which repeated rows are left out."""

    exact: list[str] = Field(
        [], description="Columns; of rows equal in all of them the first one stays."
    )
    near: Literal["template"] | None = Field(
        None,
        description="`template`: of rows with the same group and message template the first one "
        "stays.",
    )
    per: Literal["split", "set"] = Field(
        "split",
        description="`split` compares rows of the same split. `set` also leaves out rows of "
        "validation and test that repeat one of train.",
    )


class Sample(Strict):
    """Which rows are kept, chosen by a hash of the key."""

    by: str = Field(description="Column whose frequent values are thinned.")
    keep: dict[str, Keep] = Field(
        min_length=1, description="Value: share that is kept. Other values are kept."
    )
    always: Literal["labelled"] | None = Field(
        "labelled", description="Rows with a label are kept in any case; null to thin them too."
    )
    splits: list[Split] = Field(
        ["train"],
        min_length=1,
        description="Splits that are thinned. The others keep the rates that a model will meet.",
    )


class Windows(Strict):
    """Examples made of several rows of one group."""

    group: str = Field(description="Column; a window has the rows of one value of it.")
    size: Duration | None = Field(None, description="Length of a window.")
    every: Duration | None = Field(None, description="Distance of two windows; `size` by default.")
    rows: int | None = Field(None, ge=2, le=10_000, description="Instead: rows of a window.")
    step: int | None = Field(None, ge=1, description="Distance in rows; `rows` by default.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.size is None) == (self.rows is None):
            raise ValueError("write either size, or rows")
        if (self.every is not None and self.size is None) or (
            self.step is not None and self.rows is None
        ):
            raise ValueError("every belongs to size, and step to rows")
        if self.size is not None and (not self.size or not (self.every or self.size)):
            raise ValueError("size and every must not be 0")
        return self


class SplitSettings(Strict):
    """How the examples are divided by time, oldest first."""

    train: Fraction = Field(0.7, description="Share of the rows.")
    validation: Fraction = Field(0.15, description="Share of the rows; the rest is `test`.")
    gap: Duration = Field(
        dt.timedelta(hours=1),
        validate_default=False,
        description="Rows this soon after a boundary are left out.",
    )
    groups: str | None = Field(
        None,
        description="Column whose values are each in one split only. Rows of a value in the time "
        "of another split are left out.",
    )

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Self:
        if self.train + self.validation >= 1:
            raise ValueError("train and validation leave nothing for test")
        return self


class Output(Strict):
    """The files of the set."""

    rows_per_file: int = Field(100_000, ge=1, description="Most examples in a Parquet file.")
    layouts: list[Literal["loghub_csv"]] = Field(
        [], description="Further layouts: `loghub_csv` is what published log-anomaly code reads."
    )


class CheckSettings(Strict):
    """When a check holds the set."""

    min_positives: int = Field(20, ge=0, description="In each split.")
    max_overlap_pct: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Most validation and test examples that equal one of train, in percent.",
    )


class TrainingSetConfig(Strict):
    """The attributes of a training set's `defs.yaml`."""

    name: DatasetName = Field(description="Name of the asset and of the folder.")
    description: str = Field("", description="Shown in Dagster and on the card.")
    dataset: DatasetName = Field(description="Dataset or preset whose rows become examples.")
    days: Days = Field(description="Published days; days that are not published are named.")
    message: str = Field("message", description="Text column; its templates become event ids.")
    features: list[str] | None = Field(
        None, description="Columns of the rows that the examples keep; all by default."
    )
    labels: list[LabelSource] = Field(min_length=1, max_length=20, description="Label sources.")
    unlabelled: Literal["negative", "unknown", "drop"] = Field(
        "negative",
        description="Rows without a label: `negative` (0), `unknown` (null) or `drop` (left out).",
    )
    dedup: Dedup = Field(Dedup(), description="Repeated rows to leave out.")
    sample: Sample | None = Field(None, description="Frequent rows to thin.")
    windows: Windows | None = Field(
        None, description="Examples made of several rows; null for one per row."
    )
    split: SplitSettings = Field(SplitSettings(), description="How rows are divided.")
    rebuild: Literal["manual", "when_days_change"] = Field(
        "manual",
        description="`when_days_change`: `training_sets_sensor` builds the set again after one of "
        "its days was exported again, added or removed.",
    )
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Decides shuffling, sampling and groups.")
    output: Output = Field(
        Output(), description="`rows_per_file`: most examples per file. `layouts`: `[loghub_csv]`."
    )
    checks: CheckSettings = Field(
        CheckSettings(),
        description="`min_positives`: in each split. `max_overlap_pct`: of check `exact_overlap`.",
    )

    @model_validator(mode="after")
    def _gap_covers_labels(self) -> Self:
        for source in self.labels:
            if source.within and source.within > self.split.gap:
                raise ValueError(
                    f"split.gap must be at least as long as labels.within ({source.within}): a "
                    "label from the time of the next split would reach into this one"
                )
        return self
