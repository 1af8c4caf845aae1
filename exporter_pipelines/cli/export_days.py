"""Which days of each dataset `exporter export` exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter_pipelines import databases, output_folder, settings
from exporter_pipelines.cli.export_arguments import Request
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import NotComparedError
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.errors import SourceError
from exporter_pipelines.stores.opening import open_store


def days_of(request: Request) -> dict[str, list[str]]:
    """Dataset -> days to export, in order.

    Raises:
        ConfigurationError: a dataset does not exist or is broken, or a setting is wrong.
        SourceError: the days with rows cannot be counted.
        OutputUnavailableError: the published days cannot be read.
    """
    definitions = Definitions()
    datasets = [definitions.named(name) for name in request.datasets]
    settings.max_days()  # raises before anything is exported
    store = open_store()
    if not request.check_only:
        output_folder.require(store)
    days = {each.name: request.days for each in datasets}
    if request.only:
        for name in days:
            wanted = _in_state(store, name, request)
            days[name] = [day for day in days[name] if day in wanted]
    if request.days_with_rows:
        with_rows = _days_with_rows(datasets, request.days)
        days = {name: [day for day in days[name] if day in with_rows[name]] for name in days}
    return days


def _in_state(store: Store, dataset: str, request: Request) -> set[str]:
    wanted: set[str] = set()
    if "missing" in request.only:
        wanted |= set(request.days).difference(store.published_days(dataset))
    if "held" in request.only:
        wanted |= held_days(store, dataset, request.days)
    if "failed" in request.only:
        wanted |= _failed_days(dataset) - held_days(store, dataset, request.days)
    return wanted


def held_days(store: Store, dataset: str, days: Iterable[str]) -> set[str]:
    """The days that were held since they were last published, from the ledger."""
    known = set(store.recorded_days(dataset)).intersection(days)
    return {day for day in known if day_record(store, dataset, day).last_hold}


def _failed_days(dataset: str) -> set[str]:
    """The days that Dagster shows as failed."""
    from exporter_pipelines.orchestration.dagster_internals.unfinished_days import failed_days
    from exporter_pipelines.orchestration.exports.command_instance import instance_of_command

    with instance_of_command() as instance:
        return failed_days(instance, dataset)


def _days_with_rows(datasets: Sequence[Dataset], days: Sequence[str]) -> dict[str, set[str]]:
    """Dataset -> the days with rows, with one query per dataset."""
    windows = [DayWindow.of(day, settings.timezone()) for day in days]
    found = {}
    with databases.open_session() as session:
        for dataset in datasets:
            limit_s = dataset.config.source.answer_timeout_s
            try:
                counts = session.count_days(dataset, windows, timeout_s=limit_s)
            except NotComparedError as error:
                raise SourceError(
                    f"{dataset.name}: the days with rows could not be counted: {error.reason}.",
                    "Raise source.answer_timeout_s, or export without --days-with-rows.",
                ) from None
            found[dataset.name] = {day for day, rows in counts.items() if rows}
    return found
