"""Builds the asset of a dataset.

https://docs.dagster.io/guides/build/assets

No `from __future__ import annotations` here: Dagster reads the annotations of the asset function
as classes.
"""

import dagster as dg

from exporter_pipelines import __version__, databases
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.engine.judge import checks_of
from exporter_pipelines.orchestration.exports.backfill_policy import backfill_policy
from exporter_pipelines.orchestration.exports.checks import check_specs
from exporter_pipelines.orchestration.exports.descriptions import asset_description
from exporter_pipelines.orchestration.exports.export_run import ExportRun
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.metadata import asset_metadata
from exporter_pipelines.orchestration.exports.partitions import days_to_export
from exporter_pipelines.orchestration.exports.resources import BackendResource
from exporter_pipelines.orchestration.exports.run_config import ExportConfig
from exporter_pipelines.orchestration.exports.run_progress import KIND_TAG

GROUP = "exports"
PRESETS_GROUP = "presets"


def export_asset(
    dataset: Dataset, partitions_def: dg.PartitionsDefinition[str], group: str = GROUP
) -> dg.AssetsDefinition:
    """The partitioned asset of a dataset, with its checks."""
    config = dataset.config

    # The return type stays unannotated: Dagster reads it as the type of the output.
    @dg.asset(
        name=dataset.name,
        description=asset_description(dataset),
        group_name=group,
        kinds={config.format, *filter(None, [databases.kind(config.source.url)])},
        owners=list(config.owners),
        tags={KIND_TAG: "preset" if group == PRESETS_GROUP else "dataset"},
        metadata=asset_metadata(dataset),
        partitions_def=partitions_def,
        backfill_policy=backfill_policy(),
        check_specs=check_specs(dataset.name, partitions_def, checks_of(config)),
        io_manager_key="io_manager",
        output_required=False,
        # One pool per database: dagster.yaml limits how many runs read from it at once.
        pool=config.source.url.lower(),
        code_version=__version__,
    )
    def export(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext,
        config: ExportConfig,
        backend: BackendResource,
        exports: dg.ResourceParam[ExportIOManager],
    ):
        yield from ExportRun(dataset, context, config, backend, exports).days(
            days_to_export(context, config)
        )

    return export
