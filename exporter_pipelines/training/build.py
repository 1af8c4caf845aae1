"""Builds a training set, checks it, and publishes it as the newest version."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_manifest import TrainingManifest, data_version
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.contracts.versions import Versions
from exporter_pipelines.extras import require
from exporter_pipelines.training.engine import TrainingSetError, open_engine
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.pinning import InputChangedError, pin, require_unchanged
from exporter_pipelines.training.published_set import manifest_of
from exporter_pipelines.training.set_writer import Report, SetWriter
from exporter_pipelines.training.written import Outcome

_LOCK_WAIT_S = 3600
_TRIES = 3
_log = logging.getLogger(__name__)


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
            writer = SetWriter(connection, config, store, inputs, work, folder, report)
            manifest, outcomes = writer.write(version)
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
