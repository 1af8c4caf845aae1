"""Renders reports and writes them to the output, for the asset and for `exporter report`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_summaries import day_summaries, storage_use
from exporter_pipelines.orchestration.exports.run_output import exported_here
from exporter_pipelines.orchestration.report.day_warnings import day_warnings
from exporter_pipelines.orchestration.report.run_history import MOST_EXPORTS, exported_runs
from exporter_pipelines.reporting.numbers import Report
from exporter_pipelines.reporting.page import one_folder_deeper, render

DAYS = 400
"""Published days of a report. It reads the manifests of each of them, up to once a minute."""


@dataclass(frozen=True)
class Written:
    """The report of a day, and where it and the newest report are."""

    report: Report
    page: str
    newest_page: str


def write_reports(
    instance: dg.DagsterInstance, store: Store, descriptions: Mapping[str, str], last: str
) -> Written:
    """Write the report of a day and the newest report.

    Args:
        instance: Has the history of the exports.
        store: Has the exports.
        descriptions: Name -> description of the datasets, in order.
        last: The day.

    Raises:
        MissingExtraError: the extra `report` is not installed.
        OutputUnavailableError: the output cannot be read or written.
    """
    newest = max([last, *(d for name in descriptions for d in store.published_days(name)[-1:])])
    report = _report(instance, store, descriptions, last)
    html = render(report)
    page = store.write_report(last, one_folder_deeper(html).encode())
    if newest != last:
        html = render(_report(instance, store, descriptions, newest))
    return Written(report, page, store.write_report(None, html.encode()))


def _report(
    instance: dg.DagsterInstance, store: Store, descriptions: Mapping[str, str], last: str
) -> Report:
    days = sorted({day for name in descriptions for day in store.published_days(name)})
    first = _first_day([day for day in days if day <= last], last)
    published = day_summaries(store, descriptions, first, last)
    runs = exported_runs(instance, store, descriptions, first, last)
    return Report(
        first=first,
        last=last,
        descriptions=dict(descriptions),
        published=published,
        warnings=day_warnings(instance, published),
        earlier_days=[day for day in days if day < first],
        most_days=DAYS,
        runs=exported_here(runs, store, published),
        older_runs_left_out=sum(len(run.attempts) for run in runs) >= MOST_EXPORTS,
        storage=[storage_use(store, name) for name in descriptions],
        rendered_at=dt.datetime.now(dt.UTC),
        output=store.location,
        service=settings.service_url(),
    )


def _first_day(published: Sequence[str], last: str) -> str:
    """The first day of a report: it has 400 days, or the newest 400 published ones if they are few.

    Args:
        published: Days up to the last one, in order.
        last: The last day.
    """
    first = (dt.date.fromisoformat(last) - dt.timedelta(days=DAYS - 1)).isoformat()
    return min([first, *published[-DAYS:]])
