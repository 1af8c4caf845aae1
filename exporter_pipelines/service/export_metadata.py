"""An export with the names that the user gave to the fields: metadata, status, history.

Counts, sizes and metrics are those of the days as they are published now; a day that was exported
again meanwhile has those of its newest export.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.service.export_models import (
    ExportConfig,
    ExportMetadata,
    ExportStatus,
    HistoryItem,
    Status,
)
from exporter_pipelines.service.export_pages import first_errors
from exporter_pipelines.service.models import Export, ExportState, ExportSummary
from exporter_pipelines.service.watching import ENDED

_STATUSES: dict[ExportState, Status] = {
    "pending": "pending", "running": "running", "completed": "completed",
    "held": "failed", "failed": "failed", "cancelled": "failed",
}  # fmt: skip
_MOST_MANIFESTS = 400
"""Days of an export in a list whose manifests are read."""
_OF_ROWS_READ = ("rejected_pct", "validity_pct")


@dataclass(frozen=True)
class _Facts:
    """What is needed of a manifest."""

    run_id: str
    data_version: str
    published_at: dt.datetime
    read: int
    exported: int
    size_bytes: int
    metrics: Mapping[str, float]


def metadata_of(store: Store, export: Export, config: ExportConfig | None = None) -> ExportMetadata:
    """The six fields; null before the export has ended, and if none of its days is published.

    Of an export to another output, only days count that its own runs published here: an output that
    was moved has them. Reads the manifest of each day. Blocks.
    """
    published = [
        (result.dataset, str(result.day))
        for result in export.results
        if result.status == "published"
    ]
    facts = [_facts(store, *each) for each in published] if export.status in ENDED else []
    own = {run.run_id for run in export.runs}
    days = [each for each in facts if each and (export.output is None or each.run_id in own)]
    return ExportMetadata(
        export_id=export.id,
        state=export.status,
        export_config=config or _config(export),
        **_sums(days),
    )


def brief_metadata_of(store: Store, export: Export) -> ExportMetadata:
    """The same for a list: of an export of many days, only what needs no manifest."""
    if len(export.results) <= _MOST_MANIFESTS or export.status not in ENDED:
        return metadata_of(store, export)
    return ExportMetadata(
        export_id=export.id,
        state=export.status,
        export_config=_config(export),
        export_timestamp=export.ended_at,
        data_version=None,
        record_count=export.rows_exported,
        file_size=export.size_bytes,
        data_quality_metrics=None,
    )


def status_of(export: Export) -> ExportStatus:
    """Progress and errors."""
    return ExportStatus(
        status=_STATUSES[export.status],
        progress=export.progress_pct,
        currentBatch=export.current_batch,
        totalBatches=export.total_batches_estimate,
        errors=first_errors(export),
        export_id=export.id,
        state=export.status,
    )


def history_item(summary: ExportSummary, metadata: ExportMetadata) -> HistoryItem:
    """A line of the history."""
    return HistoryItem(
        **metadata.model_dump(),
        id=summary.id,
        timestamp=summary.created_at,
        dataTypes=summary.datasets,
        recordCount=summary.rows_exported,
        status=_STATUSES[summary.status],
    )


def _config(export: ExportSummary) -> ExportConfig:
    # Not checked again: an export of the Dagster UI may have more datasets than a request.
    return ExportConfig.model_construct(
        startDate=str(export.start_date),
        endDate=str(export.end_date),
        dataTypes=export.datasets or None,
        batchSize=None,
    )


def _sums(days: Sequence[_Facts]) -> dict[str, object]:
    if not days:
        names = ("export_timestamp", "data_version", "record_count", "file_size")
        return {**dict.fromkeys(names), "data_quality_metrics": None}
    versions = "\n".join(day.data_version for day in days)
    return {
        "export_timestamp": max(day.published_at for day in days),
        "data_version": hashlib.sha256(versions.encode()).hexdigest(),
        "record_count": sum(day.exported for day in days),
        "file_size": sum(day.size_bytes for day in days),
        "data_quality_metrics": joint_metrics(
            [(day.metrics, day.read, day.exported) for day in days]
        ),
    }


def joint_metrics(days: Iterable[tuple[Mapping[str, float], int, int]]) -> dict[str, float]:
    """Metrics over several days: percentages are weighted by rows, counts are added.

    Args:
        days: (metrics of a day, rows read, rows exported).
    """
    joint: dict[str, float] = {}
    weights: dict[str, int] = {}
    for metrics, read, exported in days:
        for name, value in metrics.items():
            if not _is_percentage(name):
                joint[name] = joint.get(name, 0) + value
                continue
            before = weights.get(name, 0)
            own = read if name in _OF_ROWS_READ else exported
            weights[name] = before + own
            if own or name not in joint:
                joint[name] = (joint.get(name, 0.0) * before + value * own) / (before + own or 1)
            if not weights[name]:
                joint[name] = value
    return {name: round(value, 4) for name, value in joint.items()}


def _is_percentage(name: str) -> bool:
    return name.partition(".")[0].endswith("_pct")


def _facts(store: Store, dataset: str, day: str) -> _Facts | None:
    content = store.read_manifest(dataset, day)
    manifest = Manifest.if_readable(content)
    if manifest is None:
        return None
    return _Facts(
        manifest.run.run_id,
        manifest.data_version,
        manifest.export_timestamp,
        manifest.counts.read,
        manifest.counts.exported,
        manifest.file_size,
        manifest.data_quality_metrics,
    )
