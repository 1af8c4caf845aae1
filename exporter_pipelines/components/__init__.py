"""Dagster Components: what a `defs.yaml` may ask for.

https://docs.dagster.io/guides/build/components
"""

from exporter_pipelines.components.dataset_export import DatasetExport
from exporter_pipelines.components.dataset_preset import DatasetPreset
from exporter_pipelines.components.training_set import TrainingSet

__all__ = ["DatasetExport", "DatasetPreset", "TrainingSet"]
