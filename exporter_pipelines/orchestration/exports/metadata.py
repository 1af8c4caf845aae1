"""Metadata of a dataset and of a published day, for the UI.

Dagster plots numbers per day, so counts and durations are numbers. Source values are never used as
metadata: they may be personal data, and Dagster renders Markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import listed

DATA_VERSION_TAG = "dagster/data_version"


def table_schema(dataset: Dataset) -> dg.TableSchema:
    """The exported columns and their rules, for the Columns section of the UI."""
    sql_rules = [name for name, _ in dataset.config.sql_rules]
    rules: dict[str | None, list[str]] = {None: sql_rules}
    for rule, column in dataset.judging(dataset.schema).rules:
        if rule != "required":
            rules.setdefault(column, []).append(rule)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type="json" if column.is_json else str(column.type),
                description=column.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=rules.get(column.name, [])
                ),
            )
            for column in dataset.exported(dataset.schema).columns
        ],
        constraints=dg.TableConstraints(other=rules[None]),
    )


def asset_metadata(dataset: Dataset) -> dict[str, Any]:
    """Metadata of the asset itself."""
    config = dataset.config
    return {
        "dagster/column_schema": table_schema(dataset),
        "dagster/table_name": config.source.origin,
        "schema": config.row_schema,
        "source_variable": config.source.url,
        "format": config.format,
        "compression": config.compression,
        "validation": config.validation,
    }


def _rejected_by_rule(manifest: Manifest) -> dict[str, int]:
    """One number per rule, over all columns. Zeros are kept, so that a plot has every day."""
    rejected: Counter[str] = Counter()
    for result in manifest.validation.rules:
        rejected[f"rejected.{result.rule}"] += result.failed
    return dict(rejected)


def is_export(metadata: Mapping[str, Any]) -> bool:
    """Whether the metadata of a materialization are those of an exported day.

    The report has sums under some of the same names.
    """
    return "rows_exported" in metadata and "datasets_published" not in metadata


def day_metadata(manifest: Manifest, store: Store) -> dict[str, Any]:
    """Metadata of one published day."""
    folder = store.day_location(manifest.dataset, manifest.partition)
    counts, duration_s = manifest.counts, manifest.run.duration_s
    shown: dict[str, Any] = {
        **_data_files(manifest, folder if store.has_view else ""),
        "rows_exported": counts.exported,
        "rows_rejected": counts.rejected,
        "rows_read": counts.read,
        "rows_filtered": counts.filtered,
        "dagster/partition_row_count": manifest.record_count,
        "dagster/uri": uri(folder),
        **_rejected_by_rule(manifest),
        "size_bytes": manifest.file_size,
        "duration_s": duration_s,
        "rows_per_s": round(counts.read / duration_s) if duration_s else 0,
        **manifest.data_quality_metrics,
        "manifest": place(f"{folder}/{MANIFEST_NAME}" if store.has_view else folder),
        "sha256": ", ".join(file.sha256 for file in manifest.files) or "no data file",
        **_first_plots(manifest),
    }
    if counts.erased:
        shown["rows_erased"] = counts.erased
    if extra := [column.name for column in manifest.columns if column.extra is not None]:
        shown["extra_columns"] = listed(extra)
    if manifest.quarantine:
        quarantine = store.quarantine_location(manifest.dataset, manifest.partition)
        name = manifest.quarantine.path.rpartition("/")[2]
        shown["quarantine"] = place(f"{quarantine}/{name}")
    return shown


def _first_plots(manifest: Manifest) -> dict[str, float | int]:
    """The numbers that matter most, named so that Dagster, which sorts plots by name, begins here.

    All others keep their names, which other tools read.
    """
    return {
        "1. rows exported": manifest.counts.exported,
        "2. rejected %": manifest.data_quality_metrics.get("rejected_pct", 0.0),
        "3. duration s": manifest.run.duration_s,
        "4. size bytes": manifest.file_size,
    }


def _data_files(manifest: Manifest, folder: str) -> dict[str, dg.MetadataValue | str]:
    """Where the day's data is stored, and where the service hands it out.

    Without a folder, only the service and the API of Python find the file.
    """
    names, service = [file.path for file in manifest.files], settings.service_url()
    if not names:
        return {"data_file": "none: the day has no rows"}
    if len(names) > 1:
        return {"data_file": f"{len(names)} files: {names[0]} to {names[-1]}"}
    shown: dict[str, dg.MetadataValue | str] = {
        "data_file": place(f"{folder}/{names[0]}") if folder else names[0]
    }
    if service:
        day = f"{service}/api/v1/datasets/{manifest.dataset}/days/{manifest.partition}"
        shown["download"] = dg.MetadataValue.url(f"{day}/files/{quote(names[0])}")
    return shown


def place(location: str) -> dg.MetadataValue:
    """Where something is stored, as a path or as a URL."""
    is_url = "://" in location
    return dg.MetadataValue.url(location) if is_url else dg.MetadataValue.path(location)


def uri(location: str) -> str:
    """A folder as a URI in which `date=2026-11-01` stays readable; RFC 3986 allows `=` in paths."""
    return location if "://" in location else f"file://{quote(location, safe='/=')}"


def day_materialization(
    manifest: Manifest, store: Store, description: str | None = None
) -> dg.AssetMaterialization:
    """The event for a published day that is not an output of the run."""
    return dg.AssetMaterialization(
        asset_key=manifest.dataset,
        partition=manifest.partition,
        description=description,
        metadata=day_metadata(manifest, store),
        tags={DATA_VERSION_TAG: manifest.data_version},
    )
