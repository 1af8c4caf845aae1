"""Makes the manifest of a training set from the written files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from exporter_pipelines import __version__
from exporter_pipelines.contracts.training_manifest import (
    CheckResult,
    OtherFile,
    SetColumn,
    SetFile,
    SplitSummary,
    TrainingManifest,
)
from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.training import sql
from exporter_pipelines.training.identity_spaces import all_spaces
from exporter_pipelines.training.shards import Shard
from exporter_pipelines.training.written import Outcome, Written


@dataclass(frozen=True)
class Counted:
    """What was counted while the set was made.

    Attributes:
        labelled: Label source -> rows that it labels.
        left_out: Reason -> rows.
        templates: Different templates.
    """

    labelled: dict[str, int]
    left_out: Mapping[str, int]
    templates: int


def described(
    written: Written,
    version: str,
    folder: Path,
    shards: Sequence[Shard],
    counted: Counted,
    outcomes: Sequence[Outcome],
) -> TrainingManifest:
    """The manifest without `other_files`, which describe the set and are written after it."""
    config, inputs = written.config, written.inputs
    return TrainingManifest(
        name=config.name,
        description=config.description,
        data_version=version,
        code_version=__version__,
        built_at=dt.datetime.now(dt.UTC),
        config=json.loads(config.model_dump_json()),
        inputs=inputs.versions(),
        left_out_days=inputs.left_out,
        privacy=all_spaces(inputs),
        rows_read=sum(each.record_count for each in inputs.rows.days.values()),
        rows_left_out={reason: count for reason, count in counted.left_out.items() if count},
        labels=counted.labelled,
        columns=_columns(folder / shards[0].path),
        templates=counted.templates,
        splits={
            split: _summary(written.connection, written.begins, split, shards) for split in SPLITS
        },
        checks=[CheckResult(**asdict(outcome)) for outcome in outcomes],
    )


def other_files(folder: Path) -> list[OtherFile]:
    """Everything but data and evidence; the manifest is not written yet."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.partition("/")[0] not in ("data", "evidence"):
            with path.open("rb") as file:
                size, sha256 = size_and_sha256(file)
            found.append(OtherFile(path=name, size_bytes=size, sha256=sha256))
    return found


def _columns(file: Path) -> list[SetColumn]:
    return [SetColumn(name=field.name, type=str(field.type)) for field in pq.read_schema(file)]


def _summary(
    connection: duckdb.DuckDBPyConnection, begins: str, split: str, shards: Sequence[Shard]
) -> SplitSummary:
    row = sql.row(
        connection,
        f"SELECT count(*), count(*) FILTER (label = 1), count(*) FILTER (label IS NULL), "
        f"min({begins}), max({begins}) FROM {split}",
    )
    return SplitSummary(
        rows=row[0],
        positives=row[1],
        unlabelled=row[2],
        first=_moment(row[3]),
        last=_moment(row[4]),
        files=[
            SetFile(path=s.path, rows=s.rows, size_bytes=s.size_bytes, sha256=s.sha256)
            for s in shards
            if s.split == split
        ],
    )


def _moment(microseconds: int | None) -> dt.datetime | None:
    if microseconds is None:
        return None
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=microseconds)
