"""Exports from Python, without Dagster: for notebooks, tests and services.

    from exporter_pipelines import api

    manifest = api.export_day("logs", "2026-11-01")
    for batch in api.open_days("logs", "2026-11-01", "2026-11-14"):
        ...

The engine and its guarantees are the same as in Dagster, but Dagster's history does not show these
exports. Settings come from the environment. Dagster's commands also load `.env`, which overrides
it. To do the same here, call `dotenv.load_dotenv(".env", override=True)` first.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter_pipelines import databases, output_folder, settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine import export_day as engine
from exporter_pipelines.engine import load
from exporter_pipelines.engine.export_day import StoreWriter
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.range_counts import count_again
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.engine.trailing_days import TrailingDays
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.stores.opening import open_store

if TYPE_CHECKING:
    from exporter_pipelines.training.build import BuiltSet

_log = logging.getLogger(__name__)


def export_day(
    dataset: str | Dataset,
    day: str,
    *,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    accept_loss: bool = False,
) -> Manifest:
    """Export one day and return its published manifest.

    Args:
        dataset: A name below `defs/`, or a `Dataset` object.
        day: `YYYY-MM-DD`, a day of EXPORTER_TIMEZONE.
        batch_rows: Maximum rows in a batch; affects memory and speed, never the result.
        accept_loss: Whether the day may replace an export with rows that the source lost.

    Raises:
        DayHeldError: the day must not be published; a published export of it stays.
        ExporterError: any other failure; a published export of it stays.
    """
    (manifest,) = export_days(dataset, day, batch_rows=batch_rows, accept_loss=accept_loss)
    return manifest


def export_days(
    dataset: str | Dataset,
    first: str,
    last: str | None = None,
    *,
    batch_rows: int = DEFAULT_BATCH_ROWS,
    accept_loss: bool = False,
) -> Iterator[Manifest]:
    """Export days in order over one connection; yields a manifest after each day is published.

    Args:
        dataset: As for `export_day`.
        first: First day, `YYYY-MM-DD`.
        last: Last day, included; by default the first.
        batch_rows: As for `export_day`.
        accept_loss: As for `export_day`, for every day of the range.

    Raises:
        DayHeldError, ExporterError: as `export_day` does, for the first day that fails. The days
            before it are published, those after it are not tried.
    """
    dataset = dataset_named(dataset) if isinstance(dataset, str) else dataset
    days = _days(first, last)
    store = open_store()
    output_folder.require(store)
    trailing_days = TrailingDays(store, dataset.name)
    exported: dict[str, int] = {}
    outside_days = OutsideDays(
        ExportableDays.of(settings.start_date(), settings.end_date(), settings.timezone())
    )
    sample = databases.is_sample(dataset.config.source.url)
    with databases.open_session() as session:
        for day in days:
            outcome = engine.export_day(
                dataset,
                DayWindow.of(day, settings.timezone()),
                session=session,
                writer=StoreWriter(store),
                run_id=str(uuid.uuid4()),
                notify=_log.warning,
                trailing_days=trailing_days,
                batch_rows=batch_rows,
                accept_loss=accept_loss,
                sample=sample,
                outside_days=outside_days,
            )
            manifest = outcome.published()
            output_folder.remember_first(store, sample=sample)
            if not outcome.kept:
                exported[day] = manifest.counts.read
            yield manifest
        if found := count_again(dataset, exported, settings.timezone(), session).sentence(
            dataset.name
        ):
            _log.warning(found)


def open_days(dataset: str, first: str, last: str | None = None) -> pa.RecordBatchReader:
    """The rows of published days, in order, verified against their manifests.

    Args:
        dataset: Its name. Its definition may have been deleted.
        first: First day, `YYYY-MM-DD`.
        last: Last day, included; by default the first.

    Returns:
        A reader with the schema of the first day; JSON columns are text.

    Raises:
        DayNotPublishedError: one of the days has no export.
        PublishedDayDamagedError: a day does not match its manifest. For later days, both are
            raised when the reader reaches them.
    """
    return load.open_days(open_store(), dataset, _days(first, last))


def build_training_set(name: str, *, threads: int = 1) -> BuiltSet:
    """Build a training set from the days that are published now.

    Args:
        name: Of a training set below `defs/`.
        threads: Of DuckDB; more take more memory and less time, and never change the files.

    Returns:
        Its folder and manifest. `unchanged` says that this version existed already.

    Raises:
        TrainingSetHeldError: a check failed; the version before it stays.
        ExporterError: any other failure; the version before it stays.
    """
    # Imported here: DuckDB belongs to the extra `training`.
    from exporter_pipelines.defs_files.training_sets import TrainingSets
    from exporter_pipelines.extras import require

    require("training")
    from exporter_pipelines.training.build import build_training_set as build

    config = TrainingSets().named(name)
    store = open_store()
    output_folder.require(store)
    return build(config, store, threads=threads)


def _days(first: str, last: str | None) -> list[str]:
    start, end = _date(first), _date(last or first)
    if end < start:
        raise ConfigurationError(f"The last day {end} is before the first day {start}.")
    return [str(start + dt.timedelta(days=n)) for n in range((end - start).days + 1)]


def _date(day: str) -> dt.date:
    try:
        return dt.date.fromisoformat(day)
    except ValueError:
        raise ConfigurationError(f"{day!r} is not a day.", "Write it as YYYY-MM-DD.") from None
