"""Checks that a manifest is consistent and belongs to its folder.

Facts that cannot be derived (the run, the source's version) are protected by `manifest_sha256`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import ValidationError

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import DataFile, Manifest
from exporter_pipelines.contracts.staged_day import data_version
from exporter_pipelines.contracts.strict import first_problem
from exporter_pipelines.contracts.tally import completeness_pct
from exporter_pipelines.engine.load import row_schema
from exporter_pipelines.engine.quarantine import quarantine_pattern
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.formats import suffix_of
from exporter_pipelines.stores import layout


def parse_manifest(data: bytes) -> Manifest | str:
    """The manifest, or why it cannot be read."""
    try:
        return Manifest.from_json(data)
    except ValidationError as error:
        where, problem = first_problem(error)
        return f"{where}: {problem}" if where else problem


def as_written(manifest: Manifest, data: bytes) -> bool:
    """Whether a version without checksums would have written exactly these bytes."""
    again = manifest.model_dump_json(indent=2, by_alias=True, exclude_unset=True) + "\n"
    return again.encode() == data


def contradictions(manifest: Manifest, dataset: str, day: str) -> Iterator[str]:
    """The contradictions in a manifest, one sentence each."""
    if (manifest.dataset, manifest.partition) != (dataset, day):
        yield f"it is the manifest of {manifest.dataset} {manifest.partition}"
        return
    yield from _window(manifest)
    yield from _version(manifest)
    seen: set[str] = set()
    for entry in manifest.files:
        yield from _file(manifest, entry)
        if entry.path in seen:
            yield f"it names {entry.path!r} twice"
        seen.add(entry.path)
    quarantine = manifest.quarantine
    if quarantine and not quarantine_pattern(dataset, day, folder=True).fullmatch(quarantine.path):
        yield "quarantine.path is not a path that an export writes"
    yield from _metrics(manifest)
    yield from _columns(manifest)
    names = {column.name for column in manifest.columns}
    for setting in ("key", "time_column"):
        if manifest.source_setting(setting) not in names:
            yield f"export_config: source.{setting} is not an exported column"


def _window(manifest: Manifest) -> Iterator[str]:
    stated = manifest.window
    try:
        window = DayWindow.of(manifest.partition, stated.timezone)
    except (ValueError, OSError, KeyError):
        yield "window.timezone is not a time zone"
        return
    if (window.start, window.end) != (stated.start, stated.end):
        yield f"window does not match {manifest.partition} in {stated.timezone}"


def _version(manifest: Manifest) -> Iterator[str]:
    schema = row_schema(manifest)
    if data_version(schema, (file.sha256 for file in manifest.files)) != manifest.data_version:
        yield "data_version does not match schema and files"


def _columns(manifest: Manifest) -> Iterator[str]:
    for column in manifest.columns:
        nulls = column.null_count
        if nulls is None:  # an earlier version wrote the manifest
            continue
        if nulls > manifest.record_count:
            yield f"schema: {column.name!r} has more nulls than rows"
        if nulls and not column.nullable:
            yield f"schema: {column.name!r} has nulls, but is not nullable"
        metric = f"completeness_pct.{column.name}"
        stated = manifest.data_quality_metrics.get(metric)
        rows = manifest.record_count
        if stated != (completeness_pct(nulls, rows) if rows else None):
            yield f"data_quality_metrics: {metric} does not match schema"


def _file(manifest: Manifest, entry: DataFile) -> Iterator[str]:
    try:
        suffix = suffix_of(entry.format, entry.compression)
    except ExporterError:
        yield f"{entry.path!r} has an unknown format or compression"
        return
    # Compiling a pattern takes longer than all other checks of a small day.
    usual = layout.data_file_name(manifest.dataset, manifest.partition, suffix)
    if entry.path != usual and not layout.data_file_pattern(
        manifest.dataset, manifest.partition, suffix
    ).fullmatch(entry.path):
        yield f"{entry.path!r} is not a name that an export writes"
    first, last = entry.min_timestamp, entry.max_timestamp
    if first is None or last is None or first > last or not entry.record_count:
        yield f"{entry.path!r} has impossible rows or times"


def _metrics(manifest: Manifest) -> Iterator[str]:
    metrics, counts = manifest.data_quality_metrics, manifest.counts
    rejected = 100 * counts.rejected / counts.read if counts.read else 0.0
    expected: dict[str, float] = {
        "rejected_pct": rejected,
        "validity_pct": 100 - rejected,
        "rows_unaccounted": 0,
        "rows_outside_window": 0,
    }
    for name, value in expected.items():
        if not math.isclose(metrics.get(name, math.nan), value, abs_tol=0.0001):
            yield f"data_quality_metrics: {name} does not match counts"
    filtered = [value for name, value in metrics.items() if name.startswith("filtered.")]
    if sum(filtered) != counts.filtered:
        yield "data_quality_metrics: the filters do not add up to counts.filtered"
