"""Checks the time column: zone, index, rows without a usable timestamp, first and last day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import (
    DaySpan,
    Finding,
    Inspection,
    Relation,
    TimeForms,
)
from exporter_pipelines.errors import printable

_MANY = 1000
_FORMS = 5
_WEEKS = 2000
TimeCheck = tuple[str, Callable[[], Iterator[Finding]]]


def examine_time(
    dataset: Dataset, inspection: Inspection, relation: Relation
) -> Iterator[TimeCheck]:
    """Checks by name; none if the column is missing or has a wrong type."""
    source = dataset.config.source
    name = dataset.source_name(source.time_column)
    found = relation.types.get(name)
    column = dataset.schema[source.time_column]
    if found is None or inspection.misfit(column, found, source):
        return  # reported by the checks `columns` and `types`
    if inspection.is_naive(found):
        yield "zone", lambda: _zone(dataset, name, found)
    if source.timezone is not None:
        zone = source.timezone
        yield "zone rules", lambda: _zone_rules(dataset.name, inspection, zone)
    if not relation.is_view:
        yield "index", lambda: _index(dataset, inspection, relation, name)
    yield "dayless rows", lambda: _dayless(dataset, inspection, relation, name)
    yield "days", lambda: _days(dataset, inspection, relation, name)


def _zone(dataset: Dataset, name: str, type_name: str) -> Iterator[Finding]:
    zone = dataset.config.source.timezone
    yield Finding(
        "ok", dataset.name, "zone",
        f"{name} is {type_name} without a time zone and is read as {zone}",
        "If the times are in another zone, set `timezone:`.",
    )  # fmt: skip


def _zone_rules(dataset: str, inspection: Inspection, zone: str) -> Iterator[Finding]:
    """Countries change their clocks, so releases of the time zone data differ.

    The server converts local times to instants, and this process divides instants into days.
    """
    instants = _weeks(settings.start_date(), settings.end_date())
    expected = [_offset(instant, zone) for instant in instants]
    found = inspection.utc_offsets(zone, instants) or expected
    differing = [each for each in zip(instants, found, expected, strict=True) if each[1] != each[2]]
    if not differing:
        return
    instant, server, here = differing[0]
    yield Finding(
        "warn", dataset, "zone rules",
        f"The database server and this machine have different rules for {zone}: in "
        f"{len(differing):,} of {len(instants):,} weeks, first on {instant.date()}, with "
        f"{_shown(server)} and {_shown(here)}",
        "The server converts the times, so one of the two is wrong by the difference. Install the "
        "same release of the time zone data (often a package `tzdata`) on both.",
    )  # fmt: skip


def _weeks(start: str, end: str | None) -> list[dt.datetime]:
    """A noon in UTC of each week of the configured range, at most the newest `_WEEKS`."""
    last = dt.date.fromisoformat(end) if end else dt.datetime.now(dt.UTC).date()
    count = min((last - dt.date.fromisoformat(start)).days // 7, _WEEKS)
    noon = dt.datetime.combine(last, dt.time(12), dt.UTC)
    return [noon - dt.timedelta(weeks=week) for week in range(max(count, 0), -1, -1)]


def _offset(instant: dt.datetime, zone: str) -> int:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    return round(offset.total_seconds()) if offset else 0


def _shown(seconds: int) -> str:
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    return f"UTC{sign}{minutes // 60:02}:{minutes % 60:02}"


def _index(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    statement = inspection.missing_index(relation, name)
    if statement is None:
        yield Finding("ok", dataset.name, "index", f"An index starts with {name}")
    else:
        yield Finding(
            "warn", dataset.name, "index",
            f"No index starts with {name}, so each day reads the whole table", statement,
        )  # fmt: skip


def _dayless(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    source = dataset.config.source
    count = inspection.dayless_rows(relation, name, source)
    if count == 0:
        yield Finding("ok", dataset.name, "dayless rows", f"Every row has a usable {name}")
        return
    shown = f"{_MANY} or more" if count >= _MANY else str(count)
    message = f"Rows without a usable {name} (null, infinite or not a date): {shown}"
    forms = inspection.time_forms(relation, name, source)
    unusable = sum(forms.unusable.values())
    if unusable:
        message += f". Of the first {forms.sampled:,} rows {unusable:,}: {_most_frequent(forms)}"
    is_most = 2 * unusable > forms.sampled
    yield Finding(
        "FAIL" if is_most else "warn", dataset.name, "dayless rows", message,
        "They belong to no day and are never exported. Correct their times, or convert them in a "
        "view. docs/types.md lists what is read as a time; 9 stands for a digit, a and A for a "
        "letter.",
    )  # fmt: skip


def _most_frequent(forms: TimeForms) -> str:
    ordered = sorted(forms.unusable.items(), key=lambda item: -item[1])
    listed = ", ".join(f"`{printable(form)}` ({count:,})" for form, count in ordered[:_FORMS])
    return listed + (f" and {len(ordered) - _FORMS} more forms" if ordered[_FORMS:] else "")


def _days(
    dataset: Dataset, inspection: Inspection, relation: Relation, name: str
) -> Iterator[Finding]:
    zone = settings.timezone()
    span = inspection.span(relation, name, dataset.config.source, zone)
    if span is None:
        message = f"{printable(relation.name)} has no rows with a usable {name}"
        yield Finding("warn", dataset.name, "days", message)
        return
    yield _range(dataset.name, span, settings.start_date(), settings.end_date())
    if span.ends_in_future:
        yield Finding(
            "warn", dataset.name, "days", f"The newest row is in the future, on {span.last}",
            "Check that `timezone:` is the time zone of the stored times.",
        )  # fmt: skip


def _range(dataset: str, span: DaySpan, start: str, end: str | None) -> Finding:
    message = f"Rows from {span.first} to {span.last}"
    if span.last < start or (end is not None and span.first >= end):
        return Finding(
            "warn", dataset, "days", f"{message}, but none in the configured range",
            f"Set EXPORTER_START_DATE={span.first}, and leave EXPORTER_END_DATE empty.",
        )  # fmt: skip
    hint = ""
    if span.first < start:
        hint = f"To export days before {start}, set EXPORTER_START_DATE={span.first}."
    elif end is not None and span.last >= end:
        hint = f"To export days from {end} on, change EXPORTER_END_DATE or leave it empty."
    return Finding("ok", dataset, "days", message, hint)
