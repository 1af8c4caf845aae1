"""The asset that renders the export report.

https://docs.dagster.io/guides/build/assets

It does not depend on the exports. A run over a range yields no output, so Dagster would skip every
asset that depends on it; and the report must be rendered for held days as well. The priority makes
it the last asset of a run that also exports.

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from exporter_pipelines import __version__, settings
from exporter_pipelines.contracts.reserved_names import EXPORT_REPORT
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.docs_links import linked
from exporter_pipelines.orchestration.exports.backfill_policy import backfill_policy
from exporter_pipelines.orchestration.exports.exit_messages import errors_repeated_at_exit
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.metadata import place
from exporter_pipelines.orchestration.exports.partitions import days_of_run
from exporter_pipelines.orchestration.report.rendering import Written, write_reports
from exporter_pipelines.reporting.page import preview

NAME = EXPORT_REPORT
GROUP = "report"

_DESCRIPTION = """\
A page about the exports: number and success rate, records, duration, quality and storage by day,
rejected rows by rule, and a history that includes held, failed and cancelled exports.

The report of a day has the newest 400 published days up to it. It is the file
`report/date=<day>/export-report-<day>.html` in the output folder; `report/index.html` is always the
newest report. A run of several days renders one report. See docs/report.md for the definitions of
the numbers.
"""


def export_report(
    descriptions: Mapping[str, str], partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetsDefinition:
    """The asset of the export report.

    Args:
        descriptions: Name -> description of the datasets in the report, in order.
        partitions_def: Of the exports.
    """

    @dg.asset(
        name=NAME,
        description=_description(),
        group_name=GROUP,
        kinds={"html", "matplotlib"},
        tags={"exporter/kind": "report"},
        partitions_def=partitions_def,
        backfill_policy=backfill_policy(),
        output_required=False,
        code_version=__version__,
        op_tags={"dagster/priority": "-1"},
    )
    def report(context: dg.AssetExecutionContext, exports: dg.ResourceParam[ExportIOManager]):  # type: ignore[no-untyped-def]
        with errors_repeated_at_exit():
            yield from _rendered(context, exports.store(), dict(descriptions))

    return report


def _description() -> str:
    """With a link to the newest report, if the address of the service is known."""
    service = settings.service_url()
    link = f"\n[Open the newest report]({service}/exports/report/)\n" if service else ""
    return linked(_DESCRIPTION) + link


def _rendered(
    context: dg.AssetExecutionContext, store: Store, descriptions: dict[str, str]
) -> Iterator[object]:
    """Write the report of the run's last day and the newest report, and record every day."""
    days = days_of_run(context)
    written = write_reports(context.instance, store, descriptions, days[-1])
    context.log.info(f"{NAME} {days[-1]}: {written.page}")
    for day in days:
        yield dg.AssetMaterialization(
            asset_key=NAME, partition=day, metadata=_metadata(written, day)
        )


def _opened(last: str) -> dict[str, Any]:
    """Where the service shows the report, if its address is known."""
    service = settings.service_url()
    if service is None:
        return {}
    return {
        "open_report": dg.MetadataValue.url(f"{service}/exports/report/date={last}/"),
        "open_newest_report": dg.MetadataValue.url(f"{service}/exports/report/"),
    }


def _metadata(written: Written, day: str) -> dict[str, Any]:
    """The numbers of the day, where the page is, and a preview of it."""
    report = written.report
    states = report.states.get(day, [])
    published = [state.published for state in states if state.published]
    rows_read = sum(each.rows_read for each in published)
    rejected = sum(each.rows_rejected for each in published)
    metadata: dict[str, Any] = {
        **_opened(report.last),
        "report": place(written.page),
        "newest_report": place(written.newest_page),
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
