"""`DatasetExport`: turns the `defs.yaml` of a dataset into asset, checks, job and schedule."""

from __future__ import annotations

from typing import Self

import dagster as dg
from pydantic import BaseModel

from exporter_pipelines.components.checking import check_name, checked_dataset, position
from exporter_pipelines.components.scaffolding import DatasetScaffolder
from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.exports.assets import GROUP, export_asset
from exporter_pipelines.orchestration.exports.jobs import dataset_job
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.exports.schedules import dataset_schedule


@dg.scaffold_with(DatasetScaffolder)
class DatasetExport(dg.Component):
    """Exports one dataset by day, validated, with its manifest.

    Its attributes are `contracts.dataset.DatasetConfig`. The model is given to Dagster as it is:
    a `Resolvable` component would accept any text for every field (so that it can be a template)
    and report a wrong one without its line.
    """

    group = GROUP

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
                f"{position(context)} has no attributes.", "See docs/datasets.md."
            )
        check_name(attributes.name, context)
        return cls(checked_dataset(attributes, context))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Asset with checks, job, and schedule (off until switched on)."""
        partitions_def = daily_partitions()
        job = dataset_job(self.dataset.name)
        cron = self.dataset.config.schedule
        schedules = [dataset_schedule(self.dataset.name, cron, job, partitions_def)] if cron else []
        return dg.Definitions(
            assets=[export_asset(self.dataset, partitions_def, self.group)],
            jobs=[job],
            schedules=schedules,
        )
