"""Summaries of published days, from their manifests, and the disk space that exports use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exporter_pipelines.contracts.export_attempts import DaySummary, StorageUse
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store


def day_summaries(store: Store, datasets: Iterable[str], first: str, last: str) -> list[DaySummary]:
    """The published days from `first` to `last`, by dataset and day; damaged ones are left out.

    Raises:
        OutputUnavailableError: a manifest may not be read.
    """
    found = []
    for dataset in datasets:
        days = [day for day in store.published_days(dataset) if first <= day <= last]
        for day, data in store.read_manifests(dataset, days):
            if summary := _summary(dataset, day, data):
                found.append(summary)
    return found


def storage_use(store: Store, dataset: str) -> StorageUse:
    """Bytes on disk now; symbolic links are not followed."""
    sizes = store.storage_of(dataset)
    return StorageUse(
        dataset=dataset,
        data_bytes=sizes["data"],
        quarantine_bytes=sizes["quarantine"],
        other_bytes=sizes["other"],
    )


def _summary(dataset: str, day: str, data: bytes | None) -> DaySummary | None:
    manifest = Manifest.if_readable(data)
    if manifest is None:
        return None
    metrics, counts = manifest.data_quality_metrics, manifest.counts
    rejected: Counter[str] = Counter()
    for result in manifest.validation.rules:
        rejected[result.rule] += result.failed
    return DaySummary(
        dataset=dataset,
        day=day,
        rows_read=counts.read,
        rows_exported=counts.exported,
        rows_rejected=counts.rejected,
        rows_filtered=counts.filtered,
        size_bytes=manifest.file_size,
        duration_s=manifest.run.duration_s,
        completeness_pct=metrics.get("completeness_pct", _mean_completeness(manifest)),
        repeated_keys=int(metrics.get("repeated_keys", 0)),
        rejected=dict(rejected),
        files=tuple(file.path for file in manifest.files),
        run_id=manifest.run.run_id,
        published_at=manifest.export_timestamp,
    )


def _mean_completeness(manifest: Manifest) -> float | None:
    """The mean for a manifest of an earlier version, which does not have it."""
    prefix = "completeness_pct."
    shares = [v for k, v in manifest.data_quality_metrics.items() if k.startswith(prefix)]
    return round(sum(shares) / len(shares), 4) if shares else None
