"""Dagster Components: what a `defs.yaml` may ask for.

https://docs.dagster.io/guides/build/components
"""

from exporter_pipelines.components.dataset_export import DatasetExport

__all__ = ["DatasetExport"]
