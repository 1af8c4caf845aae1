"""Dagster's door: everything below `defs/`, and what all datasets share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg

from exporter_pipelines.components.loading import load_datasets
from exporter_pipelines.orchestration.alerts.condition_alerts import condition_alerts
from exporter_pipelines.orchestration.alerts.run_alerts import run_alerts
from exporter_pipelines.orchestration.dead_runs import dead_runs_sensor
from exporter_pipelines.orchestration.io_manager import ExportIOManager
from exporter_pipelines.orchestration.jobs import all_exports_job
from exporter_pipelines.orchestration.known_warnings import silence
from exporter_pipelines.orchestration.last_words import install
from exporter_pipelines.orchestration.pruning import prune_job, prune_schedule
from exporter_pipelines.orchestration.resources import BackendResource


def build() -> dg.Definitions:
    """Load `defs/` under the settings of this moment."""
    silence()
    install()
    exports = ExportIOManager()
    shared = dg.Definitions(
        # `io_manager` is also Dagster's default key: no pickling manager stays reachable.
        resources={"io_manager": exports, "exports": exports, "backend": BackendResource()},
        jobs=[all_exports_job(), prune_job],
        schedules=[prune_schedule()],
        sensors=[dead_runs_sensor, run_alerts, condition_alerts],
        # A run in one process: half the start-up time, and no step outlives a killed run.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(load_datasets(Path(__file__).parent), shared)


_build_once = cache(build)


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and resources."""
    return _build_once()  # Dagster asks for it up to six times per command
