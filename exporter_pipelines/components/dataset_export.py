"""`DatasetExport`: turns the `defs.yaml` of a dataset into asset, checks, job and schedule."""

from __future__ import annotations

from typing import ClassVar, Self

import dagster as dg
from pydantic import BaseModel

from exporter_pipelines.components.attributes import attributes_like
from exporter_pipelines.components.scaffolding import DatasetScaffolder
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.exports.assets import GROUP, export_asset
from exporter_pipelines.orchestration.exports.jobs import dataset_job
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.exports.schedules import dataset_schedule


@dg.scaffold_with(DatasetScaffolder)
class DatasetExport(dg.Component):
    """Exports one dataset by day, validated, with its manifest.

    Its attributes are `contracts.dataset_config.DatasetConfig`, read by `defs_files`.

    Args:
        dataset: None when the definition has a mistake; `loading` makes an asset that says so.
    """

    group = GROUP
    settings: ClassVar[type[BaseModel]] = DatasetConfig

    def __init__(self, dataset: Dataset | None) -> None:
        self.dataset = dataset

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes of a `defs.yaml`."""
        return attributes_like(cls.settings)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:  # noqa: ARG003
        """Read the definition in the document that Dagster is at."""
        number = context.component_path.instance_key
        definitions = Definitions(context.defs_module_path)
        definition = definitions.in_folder(context.path, int(number or 0))
        try:
            return cls(definitions.checked(definition) if definition else None)
        except ConfigurationError:
            return cls(None)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Asset with checks, job, and schedule (off until switched on)."""
        if self.dataset is None:
            return dg.Definitions()
        partitions_def = daily_partitions()
        job = dataset_job(self.dataset.name)
        cron = self.dataset.config.schedule
        schedules = [dataset_schedule(self.dataset.name, cron, job, partitions_def)] if cron else []
        return dg.Definitions(
            assets=[export_asset(self.dataset, partitions_def, self.group)],
            jobs=[job],
            schedules=schedules,
        )
