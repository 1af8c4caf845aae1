"""The tests' datasets, varied as a `defs.yaml` would, and exported without Dagster around them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
import zstandard

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.contracts.source import DaySnapshot, Session
from exporter_pipelines.engine.export_day import DayOutcome, StoreWriter, export_day
from exporter_pipelines.engine.publish import JudgedDay
from exporter_pipelines.engine.retries import Retries
from exporter_pipelines.sources import Databases, with_postgres_driver
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.definitions import DEFS, install_definitions

install_definitions()


def dataset(name: str = "logs", *, source: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    """A dataset of the tests with some attributes (and some of its source's) replaced."""
    attributes = deepcopy(_attributes(name))
    attributes["source"] = {**attributes["source"], **(source or {})}
    config = DatasetConfig(**{**attributes, **changes})
    return Dataset(config, load_row_schema(config.row_schema))


@cache
def _attributes(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEFS / name / "defs.yaml").read_text())["attributes"])


def databases(url: str) -> Databases:
    """A session in which every environment variable names the same database."""
    return Databases(lambda _variable: url, with_postgres_driver(settings.postgres_driver()))


@contextmanager
def open_day(url: str, exported: Dataset, window: DayWindow) -> Iterator[DaySnapshot]:
    """One day over a connection that is closed with it."""
    with databases(url) as session, session.day(exported, window) as snapshot:
        yield snapshot


class _Writer(StoreWriter):
    """Lets a rival come between judging and publishing."""

    def __init__(self, store: LocalStore, before_publish: Callable[[], None]) -> None:
        super().__init__(store)
        self._before_publish = before_publish

    def publish(self, judged: JudgedDay) -> Manifest:
        self._before_publish()
        return super().publish(judged)


def outcome_of(
    url: str,
    exported: Dataset,
    day: str,
    store: LocalStore,
    *,
    timezone: str = "UTC",
    run_id: str = "0123456789abcdef",
    before_publish: Callable[[], None] = lambda: None,
    session: Session | None = None,
    retries: Retries | None = None,
    notify: Callable[[str], object] = lambda _line: None,
    **options: Any,
) -> DayOutcome:
    """Export one day through the function that the asset and `api` call.

    Args:
        session: Of several days; the caller closes it. Without one, `url` is opened for this day.
        before_publish: Called when the day is staged and judged good; the moment for a rival.
        retries: None by default, so that a lost connection fails at once.
        **options: Of `export_day`.
    """
    with databases(url) if session is None else nullcontext(session) as opened:
        return export_day(
            exported,
            DayWindow.of(day, timezone),
            session=opened,
            writer=_Writer(store, before_publish),
            run_id=run_id,
            notify=notify,
            retries=retries or Retries(limit=0),
            **options,
        )


def export(url: str, exported: Dataset, day: str, store: LocalStore, **options: Any) -> Manifest:
    """Export one day; see `outcome_of`.

    Raises:
        DayHeldError: a check failed with ERROR.
    """
    return outcome_of(url, exported, day, store, **options).published()


def export_days(
    url: str, exported: Dataset, days: Iterable[str], store: LocalStore
) -> list[Manifest]:
    """Export days over one connection, as a run over a range does."""
    with databases(url) as session:
        return [export(url, exported, day, store, session=session) for day in days]


def export_patiently(
    url: str,
    exported: Dataset,
    day: str,
    store: LocalStore,
    *,
    first_wait_s: float = 0.02,
    **options: Any,
) -> Manifest:
    """The same with as many attempts as the dataset allows, `first_wait_s` apart at first."""
    retries = Retries(first_wait_s=first_wait_s)
    return export(url, exported, day, store, retries=retries, **options)


def fingerprint_of(store: LocalStore, manifest: Manifest) -> str | None:
    """The fingerprint of the source rows of a published day."""
    generation = generation_of(manifest.to_json())
    return store.read_fingerprint(manifest.dataset, manifest.partition, generation)


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
