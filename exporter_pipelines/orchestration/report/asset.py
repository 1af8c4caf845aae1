"""The asset that renders the export report.

https://docs.dagster.io/guides/build/assets

It takes nothing from the exports: a run over a range records its days itself and yields no
output, for which Dagster would skip whatever depends on it, and a day that was held must be in
the report as well. The priority makes it the last asset of a run that exports, too.

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from exporter_pipelines import __version__
from exporter_pipelines.contracts.reserved_names import EXPORT_REPORT
from exporter_pipelines.engine.day_summaries import day_summaries, storage_use
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.last_words import remembered
from exporter_pipelines.orchestration.exports.partitions import days_of_run
from exporter_pipelines.orchestration.report.run_history import exported_runs
from exporter_pipelines.reporting.numbers import Report
from exporter_pipelines.reporting.page import preview, render
from exporter_pipelines.stores.layout import report_index, report_page
from exporter_pipelines.stores.local.pages import write_page
from exporter_pipelines.stores.local.store import LocalStore

NAME = EXPORT_REPORT
GROUP = "report"

_DAYS = 400
_DESCRIPTION = """\
One page about the exports: how many, how many succeeded, records, duration, quality and storage by
day, rejected rows by rule, and a history in which held, failed and cancelled exports appear too.

The report of a day covers it and the 399 days before. It is a file beside the exports,
`report/date=<day>/export-report-<day>.html`; `report/index.html` is always the newest one.
Several days in one run are rendered once. What each number means: docs/report.md
"""


def export_report(
    descriptions: Mapping[str, str], partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """The asset.

    Args:
        descriptions: Of the datasets that it reports on, by name, in order.
        partitions_def: That of the exports.
    """

    @dg.asset(
        name=NAME,
        description=_DESCRIPTION,
        group_name=GROUP,
        kinds={"html", "matplotlib"},
        tags={"exporter/kind": "report"},
        partitions_def=partitions_def,
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        code_version=__version__,
        op_tags={"dagster/priority": "-1"},
    )
    def report(context: dg.AssetExecutionContext, exports: dg.ResourceParam[ExportIOManager]):  # type: ignore[no-untyped-def]
        with remembered():
            yield from _rendered(context, exports.store(), dict(descriptions))

    return report


def _rendered(
    context: dg.AssetExecutionContext, store: LocalStore, descriptions: dict[str, str]
) -> Iterator[object]:
    """Write the page of the last day of the run, and the newest one, and record every day."""
    days = days_of_run(context)
    last = days[-1]
    newest = max([last, *(d for name in descriptions for d in store.published_days(name)[-1:])])
    report = _report(context.instance, store, descriptions, last)
    page = report_page(store.root, last)
    html = render(report).encode()
    write_page(store.root, page, html)
    if newest != last:
        html = render(_report(context.instance, store, descriptions, newest)).encode()
    write_page(store.root, report_index(store.root), html)
    context.log.info(f"{NAME} {last}: {page}")
    for day in days:
        metadata = _metadata(report, day, page, store.root)
        yield dg.AssetMaterialization(asset_key=NAME, partition=day, metadata=metadata)


def _report(
    instance: dg.DagsterInstance, store: LocalStore, descriptions: dict[str, str], last: str
) -> Report:
    first = (dt.date.fromisoformat(last) - dt.timedelta(days=_DAYS - 1)).isoformat()
    return Report(
        first=first,
        last=last,
        descriptions=descriptions,
        published=day_summaries(store, descriptions, first, last),
        runs=exported_runs(instance, descriptions, first, last),
        storage=[storage_use(store, name) for name in descriptions],
        rendered_at=dt.datetime.now(dt.UTC),
        output=str(store.root),
    )


def _metadata(report: Report, day: str, page: Path, root: Path) -> dict[str, Any]:
    """Numbers of the day, for the plots, and the page with a preview of what it says."""
    states = report.states.get(day, [])
    published = [state.published for state in states if state.published]
    rows_read = sum(each.rows_read for each in published)
    rejected = sum(each.rows_rejected for each in published)
    metadata: dict[str, Any] = {
        "report": dg.MetadataValue.path(str(page)),
        "newest_report": dg.MetadataValue.path(str(report_index(root))),
        "preview": dg.MetadataValue.md(preview(report)),
        "datasets_published": len(published),
        "datasets_not_exported": sum(state.is_bad for state in states),
        "rows_exported": sum(each.rows_exported for each in published),
        "rows_rejected": rejected,
        "rejected_pct": round(100 * rejected / rows_read, 4) if rows_read else 0.0,
        "size_bytes": sum(each.size_bytes for each in published),
        "duration_s": round(sum(each.duration_s for each in published), 6),
        "storage_bytes": report.storage_bytes,
    }
    if report.success_pct is not None:
        metadata["success_rate_pct"] = round(report.success_pct, 2)
    return metadata
