"""The requests and responses of `/api/v1`, shared by the service and `exporter_pipelines.client`.

Days are `YYYY-MM-DD` in EXPORTER_TIMEZONE; moments are UTC. Sizes are bytes, durations seconds,
percentages 0 to 100. A field that is not known yet is null.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

DayState = Literal["pending", "running", "published", "held", "failed", "cancelled"]
ExportState = Literal["pending", "running", "completed", "held", "failed", "cancelled"]
StoredState = Literal["missing", "published", "held", "failed", "running"]
"""Of a day of a dataset; `held` and `failed` also if an older export of it is published."""
Only = Literal["missing", "held", "failed"]
Source = Literal["rest", "page", "ui", "schedule", "sensor", "cli"]
"""Where an export was started; `cli` is `exporter export` and `dagster asset materialize`."""


def _day(value: object) -> object:
    """Refuse what pydantic would also take for a date: numbers, and moments at midnight."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return value
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    raise ValueError("Write a day as YYYY-MM-DD.")


def _in_every_zone(day: dt.date) -> dt.date:
    """Refuse days whose midnights are in no year that exists, in some zone."""
    if not 1 < day.year < 9999:
        raise ValueError("Write a day of the years 0002 to 9998.")
    return day


Day = Annotated[dt.date, BeforeValidator(_day), AfterValidator(_in_every_zone)]
"""A day in a request: `YYYY-MM-DD` and nothing else."""

NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"
"""Of texts that Dagster stores: PostgreSQL refuses NUL, and line breaks would forge log lines."""

DatasetName = Annotated[str, Field(min_length=1, max_length=100)]


class Request(BaseModel):
    """A body that a client sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Response(BaseModel):
    """A body that the service sends."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ExportRequest(Request):
    """Which days to export.

    Attributes:
        datasets: Names of datasets and presets.
        start_date, end_date: First and last day, both included.
        only: Export only days in one of these states; empty for all days.
        batch_rows: Maximum rows in a batch; null for the default. Never changes the result.
        title: Shown in lists.
    """

    datasets: list[DatasetName] = Field(min_length=1, max_length=20)
    start_date: Day
    end_date: Day
    only: list[Only] = Field(default=[], max_length=3)
    batch_rows: int | None = Field(default=None, ge=1_000, le=500_000)
    title: str | None = Field(default=None, max_length=200, pattern=NO_CONTROL_CHARACTERS)


class PreviewDay(Response):
    """What an export would read: `rows` of the source, or null with the reason."""

    dataset: str
    day: dt.date
    state: StoredState
    rows: int | None
    published_rows: int | None
    reason: str | None = None


class Preview(Response):
    """The days that an export would export, in order."""

    days: list[PreviewDay]
    rows: int | None
    """Sum over all days; null when the rows of a day are not known."""


class Result(Response):
    """One day of one dataset in an export."""

    dataset: str
    day: dt.date
    status: DayState
    rows_exported: int | None = None
    rows_rejected: int | None = None
    size_bytes: int | None = None
    problem: str | None = None
    action: str | None = None
    """What to do about a held day."""
    docs_entry: str | None = None
    """Heading in docs/failures.md, as a link names it."""
    lost_rows: int | None = None
    """Rows of the published export that the source no longer has; set for a day held for this."""
    run_id: str | None = None


class RunLink(Response):
    """A Dagster run of the export."""

    run_id: str
    datasets: list[str]
    status: str
    url: str


class Links(Response):
    """Paths below the service's address."""

    self: str
    events: str
    dagster: str


class ExportSummary(Response):
    """One line of the list of exports."""

    id: str
    title: str | None
    status: ExportState
    datasets: list[str]
    start_date: dt.date
    end_date: dt.date
    days: dict[DayState, int]
    rows_exported: int
    rows_rejected: int
    size_bytes: int
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    user: str | None
    source: Source
    problem: str | None = None
    """The first reason of a day that was not published."""
    output: str | None = None
    """Where the days went, if that is another output than the present one."""
    why_waiting: str | None = None
    """Why a pending export is not started: no daemon is running."""
    links: Links


class Export(ExportSummary):
    """An export with its progress and the result of each day."""

    progress_pct: float
    """Of all days of all datasets; never decreases; 100 only when the export has ended."""
    rows_per_s: float | None
    eta_s: float | None
    current_batch: int | None
    total_batches_estimate: int | None
    current_dataset: str | None
    current_day: dt.date | None
    results: list[Result]
    """Of the days, in order; of many days only the first, or those that `offset` asks for."""
    more_results: int = 0
    """Days after those in `results`."""
    errors: list[str]
    """A sentence for each day that was not published; after 20 one that says how many more."""
    runs: list[RunLink]
    rerun_of: str | None = None


class ExportPage(Response):
    """A page of exports, newest first; `next_cursor` is null on the last one."""

    items: list[ExportSummary]
    next_cursor: str | None


class Quality(Response):
    """Over the published days of the exports counted."""

    valid_pct: float | None
    completeness_pct: float | None
    repeated_keys: int
    rejected_rows: int


class ExportMetrics(Response):
    """Numbers over many exports, with the names that the user gave them."""

    totalExports: int  # noqa: N815
    successRate: float | None  # noqa: N815
    averageRecords: float | None  # noqa: N815
    qualityMetrics: Quality  # noqa: N815


class RerunRequest(Request):
    """Which days of an ended export to export again."""

    only: list[Literal["held", "failed"]] = Field(default=["held", "failed"], min_length=1)


class Dataset(Response):
    """A dataset or a preset; of one that cannot be used, only its name and the problem."""

    name: str
    like: str | None = None
    """Of a preset: the dataset that it is based on."""
    description: str = ""
    format: str | None = None
    compression: str | None = None
    columns: list[str] = []
    first_day: dt.date
    last_day: dt.date | None
    """The days that can be exported; the last one is null if there is none yet."""
    published_days: int
    schedule: str | None = None
    max_rejected_pct: float | None = None
    max_rejected_rows: int | None = None
    max_lost_pct: float | None = None
    max_lost_rows: int | None = None
    problem: str | None = None
    """Why its definition cannot be used."""


class Datasets(Response):
    """All datasets, then all presets, by name."""

    items: list[Dataset]


class DayFile(Response):
    """One data file of a published day; `url` is a path of the service."""

    name: str
    size_bytes: int
    sha256: str
    rows: int
    url: str


class DatasetDay(Response):
    """One day of a dataset, as it is in the output folder and in Dagster's history."""

    day: dt.date
    state: StoredState
    rows: int | None = None
    size_bytes: int | None = None
    files: list[DayFile] = []
    data_version: str | None = None
    published_at: dt.datetime | None = None
    problem: str | None = None


class DatasetDays(Response):
    """A page of days, newest first."""

    items: list[DatasetDay]
    next_cursor: str | None


class TrainingSetSplit(Response):
    """One split of a training set; `files` are paths below its `/files/`."""

    examples: int
    positives: int
    files: list[str]


class TrainingSet(Response):
    """A training set with its newest version; `version` is null while it was not built."""

    name: str
    description: str = ""
    version: str | None = None
    built_at: dt.datetime | None = None
    splits: dict[str, TrainingSetSplit] = {}
    size_bytes: int | None = None
    left_out_days: dict[dt.date, str] = {}
    """Day -> why it was not used."""
    warnings: list[str] = []
    """Sentences of the checks that warned."""
    problem: str | None = None
    """Why its definition cannot be used."""


class TrainingSets(Response):
    """All training sets, by name."""

    items: list[TrainingSet]


class BuildLinks(Response):
    """Paths below the service's address."""

    self: str
    training_set: str
    dagster: str


class TrainingSetBuild(Response):
    """A build of a training set, which is a Dagster run."""

    id: str
    training_set: str
    status: ExportState
    """`held`: a check holds the set, and the version before it stays."""
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    user: str | None
    problem: str | None = None
    """Why nothing was built."""
    links: BuildLinks


class Alive(Response):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(Response):
    """Whether exports can be started; `checks` only with the role `viewer`."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str] | None = None
    """What was checked -> `ok`, or what is wrong."""


class Me(Response):
    """Who sent the request."""

    name: str
    roles: list[str]
    via: str
    read_only: bool
