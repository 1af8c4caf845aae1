"""Which days of which datasets a request asks for, and its mistakes by field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import ConfigurationError, UnknownNameError
from exporter_pipelines.orchestration.dagster_internals.unfinished_days import failed_days
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.day_states import held_days
from exporter_pipelines.service.models import ExportRequest
from exporter_pipelines.service.problems import FieldError, Problem
from exporter_pipelines.service.run_plan import DaysOf


def plan(context: ServiceContext, request: ExportRequest) -> DaysOf:
    """Dataset -> the days that are exported, in order; datasets without such a day are left out.

    Raises:
        Problem: 422 with every mistake of the request.
    """
    check(context, request)
    days = days_between(str(request.start_date), str(request.end_date))
    found = {
        name: days_in_states(context, name, days, request.only)
        for name in dict.fromkeys(request.datasets)
    }
    return {name: chosen for name, chosen in found.items() if chosen}


def check(context: ServiceContext, request: ExportRequest) -> None:
    """Refuse a request with a mistake.

    Raises:
        Problem: 422 with every mistake, by field.
    """
    errors = [
        *_wrong_datasets(context.definitions, request.datasets),
        *_wrong_days(request.start_date, request.end_date),
    ]
    if errors:
        raise unprocessable(errors)


def unprocessable(errors: Sequence[FieldError]) -> Problem:
    """The answer to mistakes in fields."""
    more = f" There are {len(errors) - 1} more mistakes." if len(errors) > 1 else ""
    return Problem(422, f"{errors[0].pointer}: {errors[0].message}{more}", errors=errors)


def datasets_of(context: ServiceContext, names: Iterable[str]) -> list[Dataset]:
    """The datasets with these names, which `check` has accepted."""
    return [context.definitions.named(name) for name in names]


def days_in_states(
    context: ServiceContext, dataset: str, days: Sequence[str], only: Collection[str]
) -> list[str]:
    """The days that are in one of the states, in order; all of them without states.

    The states are those of `exporter export --only`: a day that is held and has no published export
    is also missing.
    """
    if not only:
        return list(days)
    wanted: set[str] = set()
    held = held_days(context.store, dataset, days)
    if "missing" in only:
        wanted |= set(days).difference(context.store.published_days(dataset))
    if "held" in only:
        wanted |= held
    if "failed" in only:
        wanted |= failed_days(context.instance, dataset) - held
    return [day for day in days if day in wanted]


def _wrong_datasets(definitions: Definitions, names: Sequence[str]) -> Iterable[FieldError]:
    for place, name in enumerate(names):
        pointer = f"/datasets/{place}"
        try:
            definitions.named(name)
        except UnknownNameError:
            # repr: a name may have line breaks.
            known = ", ".join(definitions.exported_names())
            yield FieldError(pointer, f"{name!r} is no dataset. The datasets are {known}.")
        except ConfigurationError as error:
            yield FieldError(pointer, f"The definition of {name!r} has a mistake: {error}")


def _wrong_days(first: dt.date, last: dt.date) -> Iterable[FieldError]:
    begins, ends = settings.start_date(), settings.end_date()
    yesterday = settings.today() - dt.timedelta(days=1)
    if str(first) < begins:
        yield FieldError(
            "/start_date", f"{first} is before the first day, EXPORTER_START_DATE={begins}."
        )
    if last < first:
        yield FieldError("/end_date", f"{last} is before start_date, {first}.")
    elif ends and str(last) >= ends:
        yield FieldError("/end_date", f"{last} is not before the end, EXPORTER_END_DATE={ends}.")
    elif last > yesterday:
        yield FieldError(
            "/end_date",
            f"{last} is not over yet in EXPORTER_TIMEZONE={settings.timezone()}: the last day is "
            f"{yesterday}.",
        )
    elif (count := (last - first).days + 1) > settings.max_days():
        yield FieldError(
            "/end_date",
            f"The range has {count:,} days, more than EXPORTER_MAX_DAYS={settings.max_days()} "
            "allows. Start several exports, or raise the setting.",
        )
