"""Dagster's door: everything below `defs/`, and what all datasets share."""

from __future__ import annotations

from exporter_pipelines.process_memory import freeze_gc, limit_malloc_arenas, pause_gc

limit_malloc_arenas()  # before the imports below, which import Arrow
pause_gc()

import sys
from functools import cache

import dagster as dg

from exporter_pipelines import dotenv_file
from exporter_pipelines.components.loading import exported, load_datasets
from exporter_pipelines.components.not_loaded import Broken, checked_by_dagster
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.hangups import end_like_terminate
from exporter_pipelines.orchestration.alerts.condition_alerts import condition_alerts_sensor
from exporter_pipelines.orchestration.alerts.run_alerts import run_alerts_sensor
from exporter_pipelines.orchestration.dagster_internals.ended_executions import (
    keep_looking_after_runs,
)
from exporter_pipelines.orchestration.exports.exit_messages import install_excepthook
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.jobs import all_exports_job, export_report_job
from exporter_pipelines.orchestration.exports.known_warnings import silence
from exporter_pipelines.orchestration.exports.partitions import (
    daily_partitions,
    refuse_long_range,
)
from exporter_pipelines.orchestration.exports.resources import BackendResource
from exporter_pipelines.orchestration.report.asset import export_report
from exporter_pipelines.orchestration.report.sensor import export_report_sensor
from exporter_pipelines.orchestration.training.sensor import training_sets_sensor
from exporter_pipelines.orchestration.upkeep.dead_runs import dead_runs_sensor
from exporter_pipelines.orchestration.upkeep.late_data import late_data_sensor
from exporter_pipelines.orchestration.upkeep.pruning import prune_job, prune_schedule
from exporter_pipelines.orchestration.upkeep.repair import repair_job


def build(*, for_ui: bool = True) -> dg.Definitions:
    """Load `defs/` under the settings of this moment.

    Args:
        for_ui: False leaves out what only the UI shows.
    """
    silence()
    install_excepthook()
    dotenv_file.announce_dotenv_of_dagster()
    dotenv_file.refuse_unusable_dagster_yaml()
    refuse_long_range(sys.argv)
    end_like_terminate()
    keep_looking_after_runs()
    exports = ExportIOManager()
    datasets, partitions = load_datasets(for_ui=for_ui), daily_partitions()
    descriptions = exported(datasets)
    shared = dg.Definitions(
        # `io_manager` is also Dagster's default key: no pickling manager stays reachable.
        resources={"io_manager": exports, "exports": exports, "backend": BackendResource()},
        assets=[export_report(descriptions, partitions)],
        jobs=[all_exports_job(), prune_job, repair_job, export_report_job()],
        schedules=[prune_schedule()],
        sensors=[
            dead_runs_sensor,
            late_data_sensor,
            run_alerts_sensor,
            condition_alerts_sensor,
            export_report_sensor(list(descriptions), partitions),
            training_sets_sensor,
        ],
        # A run in one process: half the start-up time, and no step outlives a killed run.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(datasets, shared)


def not_loaded(definitions: Definitions) -> list[Broken]:
    """What Dagster cannot load, although no check of ours finds a mistake in it."""
    return checked_by_dagster(definitions)


def descriptions() -> dict[str, str]:
    """Name -> description of everything that is exported, as the report has it."""
    return exported(load_datasets(for_ui=False))


_build_once = cache(build)

freeze_gc()


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and resources."""
    return _build_once()  # Dagster asks for it up to six times per command
