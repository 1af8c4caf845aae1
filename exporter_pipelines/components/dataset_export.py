"""`DatasetExport`: turns the `defs.yaml` of a dataset into asset, checks, job and schedule."""

from __future__ import annotations

from typing import Self

import dagster as dg
from dagster._utils.schedules import is_valid_cron_schedule
from pydantic import BaseModel

from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.formats import compression_named, format_named
from exporter_pipelines.orchestration.assets import export_asset
from exporter_pipelines.orchestration.jobs import dataset_job
from exporter_pipelines.orchestration.partitions import daily_partitions
from exporter_pipelines.orchestration.schedules import dataset_schedule
from exporter_pipelines.transforms import transform_named


class DatasetExport(dg.Component):
    """Exports one dataset by day, validated, with its manifest.

    Its attributes are `contracts.dataset.DatasetConfig`. The model is given to Dagster as it is:
    a `Resolvable` component would accept any text for every field (so that it can be a template)
    and report a wrong one without its line.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes of a `defs.yaml`."""
        return DatasetConfig

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Check what the attributes name, while the line of each is known.

        Raises:
            ConfigurationError: something that an attribute names does not exist or does not fit;
                the message begins with file and line.
        """
        if not isinstance(attributes, DatasetConfig):
            raise ConfigurationError(
                f"{context.path}/defs.yaml has no attributes.", "See docs/datasets.md."
            )
        at = ["attributes"]
        try:
            at = ["attributes", "format"]
            format_named(attributes.format)
            at = ["attributes", "compression"]
            compression_named(attributes.compression)
            at = ["attributes", "schedule"]
            if attributes.schedule is not None and not is_valid_cron_schedule(attributes.schedule):
                raise ConfigurationError(
                    f"schedule {attributes.schedule!r} is not a cron expression.",
                    'Write five fields, as in "15 2 * * *".',
                )
            at = ["attributes", "schema"]
            schema = load_row_schema(attributes.row_schema)
            at = ["attributes", "source"]
            dataset = Dataset(attributes, schema)
            at = ["attributes", "transforms"]
            for transform in attributes.transforms:
                transform_named(transform, schema)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{_position(context, at)}: {error.message}", error.hint
            ) from None
        return cls(dataset)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Asset with checks, job, and schedule (off until switched on)."""
        partitions_def = daily_partitions()
        job = dataset_job(self.dataset.name)
        cron = self.dataset.config.schedule
        schedules = [dataset_schedule(self.dataset.name, cron, job, partitions_def)] if cron else []
        return dg.Definitions(
            assets=[export_asset(self.dataset, partitions_def)], jobs=[job], schedules=schedules
        )


def _position(context: dg.ComponentLoadContext, at: list[str]) -> str:
    """`defs/logs/defs.yaml:14`, as near to the attribute as the file has it."""
    tree = getattr(context.component_decl, "source_tree", None)
    if tree is None:
        return str(context.path)
    position, _ = tree.source_position_tree.lookup_closest_and_path(at, trace=None)
    return f"{position.filename}:{position.start.line}"
