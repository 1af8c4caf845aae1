"""Public path of `PoolAwareRunCoordinator` (`dagster.yaml`); code: `dagster_internals`."""

from exporter_pipelines.orchestration.dagster_internals.run_queue import PoolAwareRunCoordinator

__all__ = ["PoolAwareRunCoordinator"]
