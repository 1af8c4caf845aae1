"""Builds the asset of a training set, with its checks.

https://docs.dagster.io/guides/build/assets

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from exporter_pipelines import __version__
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.orchestration.exports.cancelled_in_queue import stop_if_cancelled
from exporter_pipelines.orchestration.exports.exit_messages import (
    errors_repeated_at_exit,
    repeat_at_exit,
)
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.metadata import place

GROUP = "training_sets"
CHECKS = {
    "ids_disjoint": "No row of the source is in two splits.",
    "groups_disjoint": "No group is in two splits.",
    "time_ordered": "Each split begins at least `split.gap` after the one before it.",
    "exact_overlap": "Few validation and test examples equal one of train.",
    "near_overlap": "Not most validation and test examples have the events of one of train.",
    "label_not_from_future": "Each label was known before the next split begins.",
    "no_label_column": "The files have no column of a label source.",
    "no_shortcut": "No single value gives the label away.",
    "balance": "Each split has enough positive examples.",
    "one_identity_space": "All days have the same pseudonyms where groups and joins compare them.",
}
"""Name -> what is true when it passes; a test compares it with `training.checks`."""

UP_TO_DATE = "up_to_date"
HELD = "held"
"""Metadata of the failure of a build whose set is held by a check."""

_UP_TO_DATE = "No day has changed since the set was built; updated by `training_sets_sensor`."


def training_set_asset(config: TrainingSetConfig) -> dg.AssetsDefinition:
    """The unpartitioned asset of a training set, downstream of its datasets."""
    sources = dict.fromkeys([config.dataset, *(source.dataset for source in config.labels)])

    @dg.asset(
        name=config.name,
        description=_description(config),
        group_name=GROUP,
        kinds={"parquet", "duckdb"},
        tags={"exporter/kind": "training_set"},
        deps=[dg.AssetDep(each, partition_mapping=dg.AllPartitionMapping()) for each in sources],
        check_specs=[
            dg.AssetCheckSpec(name, asset=config.name, description=f"{text} See docs/training.md")
            for name, text in {**CHECKS, UP_TO_DATE: _UP_TO_DATE}.items()
        ],
        output_required=False,
        code_version=__version__,
    )
    def training_set(context: dg.AssetExecutionContext, exports: dg.ResourceParam[ExportIOManager]):  # type: ignore[no-untyped-def]
        stop_if_cancelled(context)
        with errors_repeated_at_exit():
            yield from _built(context, config, exports)

    return training_set


def broken_training_set(name: str, problem: str) -> dg.AssetsDefinition:
    """An asset that fails with the mistake in its definition."""

    @dg.asset(
        name=name,
        description=f"Broken: the definition has a mistake.\n\n{problem}",
        group_name=GROUP,
        kinds={"broken"},
        tags={"exporter/kind": "broken"},
        output_required=False,
    )
    def broken() -> None:
        repeat_at_exit(f"{name}: {problem}")
        raise dg.Failure(f"{name}: {problem}", allow_retries=False)

    return broken


def _built(
    context: dg.AssetExecutionContext, config: TrainingSetConfig, exports: ExportIOManager
) -> Iterator[object]:
    # Imported here: DuckDB is an extra, and takes time to load.
    from exporter_pipelines.training.build import TrainingSetHeldError, build_training_set

    try:
        built = build_training_set(config, exports.store(), report=context.log.info)
    except TrainingSetHeldError as held:
        yield from _check_results(held.outcomes)
        raise dg.Failure(str(held), metadata={HELD: True}, allow_retries=False) from None
    yield from _check_results(built.manifest.checks)
    yield dg.AssetCheckResult(
        check_name=UP_TO_DATE,
        passed=True,
        severity=dg.AssetCheckSeverity.WARN,
        description="Built from the days that are published now.",
    )
    yield dg.MaterializeResult(
        metadata=_metadata(built.manifest, built.location, unchanged=built.unchanged),
        data_version=dg.DataVersion(built.manifest.data_version),
    )


def _check_results(outcomes: Sequence[Any]) -> Iterator[dg.AssetCheckResult]:
    from exporter_pipelines.training.checks import HOLDING

    for each in outcomes:
        severity = dg.AssetCheckSeverity.ERROR
        if each.check not in HOLDING:
            severity = dg.AssetCheckSeverity.WARN
        yield dg.AssetCheckResult(
            check_name=each.check,
            passed=each.passed,
            severity=severity,
            description=each.sentence,
            metadata=dict(each.numbers),
        )


def _metadata(manifest: TrainingManifest, folder: str, *, unchanged: bool) -> dict[str, Any]:
    splits = {f"{split}_examples": summary.rows for split, summary in manifest.splits.items()} | {
        f"{split}_positives": summary.positives for split, summary in manifest.splits.items()
    }
    left_out = "\n".join(f"- {day}: {why}" for day, why in manifest.left_out_days.items())
    return {
        **splits,
        "folder": place(folder),
        "rows_read": manifest.rows_read,
        "rows_left_out": dg.MetadataValue.json(manifest.rows_left_out),
        "days_left_out": dg.MetadataValue.md(left_out or "None."),
        "templates": manifest.templates,
        "size_bytes": sum(
            file.size_bytes for each in manifest.splits.values() for file in each.files
        ),
        "built_now": not unchanged,
    }


def _description(config: TrainingSetConfig) -> str:
    labels = ", ".join(dict.fromkeys(source.dataset for source in config.labels))
    return (
        f"{config.description}\n\nExamples from published days of {config.dataset}, labelled by "
        f"{labels}, split by time. Built from what is published when it is materialized. See "
        "docs/training.md"
    ).strip()
