"""Runs of assets in this process, with an instance of their own."""

from __future__ import annotations

import atexit
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.orchestration.exports.assets import export_asset
from exporter_pipelines.orchestration.exports.exit_messages import print_messages
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.exports.resources import BackendResource


@dataclass
class Runner:
    """Materializes datasets and what is downstream of them, one run after another.

    Attributes:
        datasets: Their assets are there in every run.
        downstream: Further assets.
        instance: Keeps the history of all runs.
    """

    datasets: list[Dataset]
    downstream: list[dg.AssetsDefinition] = field(default_factory=list)
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @property
    def definitions(self) -> dg.Definitions:
        """What a code location would hold."""
        exports = ExportIOManager()
        partitions = daily_partitions()
        return dg.Definitions(
            assets=[*(export_asset(d, partitions) for d in self.datasets), *self.downstream],
            resources={"io_manager": exports, "exports": exports, "backend": BackendResource()},
            executor=dg.in_process_executor,
        )

    def run(self, select: str, first: str, last: str = "", **options: Any) -> Any:
        """One run over a day, or over the days from `first` to `last`.

        Args:
            select: Asset selection, such as `logs` or `logs*`.
            first, last: Partition keys; a run without a day if `first` is empty.
            **options: Of `execute_in_process`.
        """
        job = dg.define_asset_job("job", selection=select)
        definitions = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        days: dict[str, Any] = {"partition_key": first} if first else {}
        if last:
            tags = {"start": first, "end": last}
            days = {"tags": {f"dagster/asset_partition_range_{k}": v for k, v in tags.items()}}
        result = definitions.resolve_job_def("job").execute_in_process(
            instance=self.instance, raise_on_error=False, **days, **options
        )
        atexit.unregister(print_messages)  # of no interest at the end of a test session
        return result


def failure(result: Any) -> str:
    """The message of the step that failed."""
    [event] = [e for e in result.all_events if e.is_step_failure]
    error = event.step_failure_data.error
    return str((error.cause or error).message)
