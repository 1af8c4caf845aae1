"""Builds a training set, checks it, and publishes it as the newest version."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines import __version__
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_manifest import (
    CheckResult,
    OtherFile,
    SetColumn,
    SetFile,
    SplitSummary,
    TrainingManifest,
    data_version,
)
from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.contracts.versions import Versions
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.extras import require
from exporter_pipelines.training import sql
from exporter_pipelines.training.cards import write_cards
from exporter_pipelines.training.checks import run_checks
from exporter_pipelines.training.choosing import choose_rows
from exporter_pipelines.training.columns import columns_of_labels, columns_of_rows
from exporter_pipelines.training.engine import TrainingSetError, open_engine
from exporter_pipelines.training.examples import Examples, RowExamples
from exporter_pipelines.training.identity_spaces import all_spaces
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.labelling import label_rows
from exporter_pipelines.training.loghub import write_loghub_csv
from exporter_pipelines.training.pinning import InputChangedError, pin, require_unchanged
from exporter_pipelines.training.published_set import manifest_of
from exporter_pipelines.training.shards import Shard, write_shards
from exporter_pipelines.training.splitting import assign_splits, find_boundaries
from exporter_pipelines.training.windows import make_windows
from exporter_pipelines.training.work_files import WorkFile, write_work_files
from exporter_pipelines.training.written import Outcome, open_written

_LOCK_WAIT_S = 3600
_TRIES = 3
_log = logging.getLogger(__name__)

Report = Callable[[str], None]


class TrainingSetHeldError(TrainingSetError):
    """A check failed; the set is not published, and the version before it stays."""

    docs_anchor = "a-training-set-is-held"

    def __init__(self, name: str, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = tuple(outcomes)
        failed = [outcome for outcome in outcomes if outcome.holds]
        reasons = " ".join(f"{each.check}: {each.sentence}" for each in failed)
        super().__init__(
            f"Training set {name!r} is held. {reasons}",
            "The version before it stays. docs/training.md explains each check.",
        )


@dataclass(frozen=True)
class BuiltSet:
    """A published training set.

    Attributes:
        location: Of the version: a folder or a URL.
        manifest: Its manifest.
        unchanged: Whether the version was there already, so nothing was built.
    """

    location: str
    manifest: TrainingManifest
    unchanged: bool

    @property
    def folder(self) -> Path:
        """The folder of the version, if the output is on a local disk."""
        return Path(self.location)


def build_training_set(
    config: TrainingSetConfig,
    store: Store,
    *,
    threads: int = 1,
    report: Report = _log.info,
) -> BuiltSet:
    """Build a set from the days that are published now, unless this version exists.

    Args:
        config: Of the set.
        store: Where the days are, and the set will be.
        threads: Of DuckDB; more take more memory and less time, and never change the bytes.
        report: Called with one sentence per step.

    Raises:
        MissingExtraError: the extra `training` is not installed.
        TrainingSetHeldError: a check failed.
        TrainingSetError, ConfigurationError, DayNotPublishedError, ColumnMismatchError,
            PublishedDayDamagedError, OutputUnavailableError: it cannot be built.
    """
    require("training")
    versions = store.versions(config.name)
    with versions.lock(_LOCK_WAIT_S):
        for _ in range(_TRIES):
            inputs = pin(config, store)
            version = data_version(config, inputs.versions())
            if existing := _existing(versions, version):
                return existing
            try:
                return _build(config, store, inputs, versions, version, threads, report)
            except InputChangedError as changed:
                report(f"{changed} was exported again in the meantime; starting over.")
    raise TrainingSetError(
        f"Training set {config.name!r}: its days were exported again during each of {_TRIES} "
        "builds.",
        "Build it when no export of these days is running.",
    )


def _existing(versions: Versions, version: str) -> BuiltSet | None:
    """The newest version, if it is this one and its files have the sizes of its manifest."""
    newest = versions.newest()
    if newest is None or newest.version != version[:12]:
        return None
    try:
        manifest = manifest_of(newest)
        if manifest is None or manifest.data_version != version:
            return None
        for split in manifest.splits.values():
            for file in split.files:
                if newest.size(file.path) != file.size_bytes:
                    return None
    except OSError:
        return None
    return BuiltSet(newest.location, manifest, unchanged=True)


def _build(
    config: TrainingSetConfig,
    store: Store,
    inputs: Inputs,
    versions: Versions,
    version: str,
    threads: int,
    report: Report,
) -> BuiltSet:
    with versions.building() as home:
        work, folder = home / "work", home / "set"
        work.mkdir()
        folder.mkdir(mode=0o750)
        with open_engine(work, threads=threads) as connection:
            manifest, outcomes = _written(
                connection, config, store, inputs, work, folder, version, report
            )
        if any(outcome.holds for outcome in outcomes):
            raise TrainingSetHeldError(config.name, outcomes)
        require_unchanged(store, inputs)
        published = versions.publish(folder, version[:12])
        try:
            # `exporter erase` changes days first and looks for versions then. So it finds this
            # version, or the changed day is found here.
            require_unchanged(store, inputs)
        except InputChangedError:
            versions.remove(published.version)
            raise
        return BuiltSet(published.location, manifest, unchanged=False)


def _written(
    connection: duckdb.DuckDBPyConnection,
    config: TrainingSetConfig,
    store: Store,
    inputs: Inputs,
    work: Path,
    folder: Path,
    version: str,
    report: Report,
) -> tuple[TrainingManifest, list[Outcome]]:
    """Write everything of the set into `folder`, and check it."""
    report(f"Reading {len(inputs.rows.days)} days of {inputs.rows.dataset}.")
    rows, labels = _work_files(config, store, inputs, work)
    if not rows:
        raise TrainingSetError(
            f"Training set {config.name!r}: the chosen days of {config.dataset} have no rows.",
            "Choose other days.",
        )
    labelled = label_rows(connection, config, inputs, rows, labels)
    boundaries = find_boundaries(connection, config)
    left_out = assign_splits(connection, config, boundaries, inputs.open_ends())
    left_out |= choose_rows(connection, config)
    report("Writing the examples.")
    examples: Examples = RowExamples(connection, config, inputs, rows)
    if config.windows:
        examples, lost = make_windows(connection, config, config.windows, boundaries, work)
        left_out |= lost
    shards = write_shards(examples, folder, config.output.rows_per_file, work)
    templates = _write_templates(connection, folder)
    if "loghub_csv" in config.output.layouts:
        write_loghub_csv(connection, config, rows, folder)
    report("Checking the files.")
    written = open_written(connection, folder, config, inputs, boundaries)
    outcomes = run_checks(written)
    manifest = TrainingManifest(
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
        rows_left_out={reason: count for reason, count in left_out.items() if count},
        labels=labelled,
        columns=_columns(folder / shards[0].path),
        templates=templates,
        splits={split: _summary(connection, written.begins, split, shards) for split in SPLITS},
        checks=[CheckResult(**asdict(outcome)) for outcome in outcomes],
    )
    write_cards(connection, config, manifest, folder)
    manifest = manifest.model_copy(update={"other_files": _other_files(folder)})
    (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
    return manifest, outcomes


def _work_files(
    config: TrainingSetConfig, store: Store, inputs: Inputs, work: Path
) -> tuple[list[WorkFile], dict[str, list[WorkFile]]]:
    (work / "rows").mkdir()
    columns = columns_of_rows(config, inputs)
    rows = write_work_files(store, inputs.rows, columns, work / "rows")
    labels: dict[str, list[WorkFile]] = {}
    for number, (name, each) in enumerate(inputs.labels.items()):
        home = work / f"labels-{number}"
        home.mkdir()
        labels[name] = write_work_files(store, each, columns_of_labels(config, inputs, name), home)
    pa.default_memory_pool().release_unused()  # DuckDB has its own memory
    return rows, labels


def _write_templates(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Write event id, template and number of rows; the most frequent first."""
    table = connection.sql(
        "SELECT event_id, template, rows FROM templates ORDER BY rows DESC, event_id"
    ).to_arrow_table()
    pq.write_table(table, folder / "templates.parquet", compression="zstd")
    return len(table)


def _other_files(folder: Path) -> list[OtherFile]:
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
