"""The shipped datasets, varied as a `defs.yaml` would, and exported without Dagster around them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
import zstandard

import exporter_pipelines
from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.contracts.source import DaySnapshot, Session
from exporter_pipelines.engine.judge import Verdict, judge
from exporter_pipelines.engine.publish import hold, publish
from exporter_pipelines.engine.retries import staged_day
from exporter_pipelines.engine.stage import stage_day
from exporter_pipelines.sources import Databases
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.store import LocalStaging

DEFS = Path(exporter_pipelines.__file__).parent / "defs"


def dataset(name: str = "logs", *, source: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    """A shipped dataset with some attributes (and some of its source's) replaced."""
    attributes = yaml.safe_load((DEFS / name / "defs.yaml").read_text())["attributes"]
    attributes["source"] = {**attributes["source"], **(source or {})}
    config = DatasetConfig(**{**attributes, **changes})
    return Dataset(config, load_row_schema(config.row_schema))


def databases(url: str) -> Databases:
    """A session in which every environment variable names the same database."""
    return Databases(lambda _variable: url)


@contextmanager
def open_day(url: str, exported: Dataset, window: DayWindow) -> Iterator[DaySnapshot]:
    """One day over a connection that is closed with it."""
    with databases(url) as session, session.day(exported, window) as snapshot:
        yield snapshot


class DayHeldError(Exception):
    """The engine judged that the day must not be published."""

    def __init__(self, verdicts: list[Verdict], quarantine: Path | None) -> None:
        super().__init__("; ".join(v.reason for v in verdicts if v.holds))
        self.verdicts, self.quarantine = verdicts, quarantine


def export(
    url: str,
    exported: Dataset,
    day: str,
    store: LocalStore,
    *,
    timezone: str = "UTC",
    run_id: str = "0123456789abcdef",
    before_publish: Callable[[], None] = lambda: None,
    session: Session | None = None,
    **options: Any,
) -> Manifest:
    """Stage, judge and publish one day, as the asset does.

    Args:
        session: Of several days; the caller closes it. Without one, `url` is opened for this day.
        before_publish: Called when the day is staged and judged; the moment for a rival.
        **options: Of `stage_day`.

    Raises:
        DayHeldError: a check failed with ERROR.
    """
    window = DayWindow.of(day, timezone)
    staging = store.begin(exported.name, day)
    try:
        opened = session.day(exported, window) if session else open_day(url, exported, window)
        with opened as snapshot:
            staged = stage_day(exported, window, snapshot, staging, run_id=run_id, **options)
        verdicts = judge(exported, staged.tally)
        before_publish()
        if any(verdict.holds for verdict in verdicts):
            raise DayHeldError(verdicts, hold(staged))
        return publish(staged)
    finally:
        staging.discard()


def export_patiently(
    url: str,
    exported: Dataset,
    day: str,
    store: LocalStore,
    *,
    say: Callable[[str], object] = lambda _line: None,
    first_wait_s: float = 0.02,
    **options: Any,
) -> Manifest:
    """The same with as many attempts as the dataset allows, `first_wait_s` apart at first."""
    window = DayWindow.of(day, "UTC")
    with staged_day(
        exported,
        window,
        lambda: open_day(url, exported, window),
        lambda: discarded(store.begin(exported.name, day)),
        run_id="0123456789abcdef",
        say=say,
        first_wait_s=first_wait_s,
        **options,
    ) as staged:
        return publish(staged)


@contextmanager
def discarded(staging: LocalStaging) -> Iterator[LocalStaging]:
    """A staging area that is discarded at the end of the block."""
    try:
        yield staging
    finally:
        staging.discard()


def rows(store: LocalStore, manifest: Manifest) -> list[dict[str, Any]]:
    """The exported rows, parsed as a trainer would."""
    folder = store.day_folder(manifest.dataset, manifest.partition)
    return [row for file in manifest.files for row in parse(folder / file.path)]


def rejected(store: LocalStore, manifest: Manifest) -> list[dict[str, Any]]:
    """The quarantined rows of a published day."""
    if manifest.quarantine is None:
        return []
    return parse(store.root / manifest.dataset / manifest.quarantine.path)


def parse(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, whatever its compression."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return [json.loads(line) for line in data.decode().split("\n") if line]
