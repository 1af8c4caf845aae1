"""Which runs of Dagster's history exported to an output: `run_output.exported_here`, run by run.

For numbers over all runs, which would take too long with the events of each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import dagster as dg

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.orchestration.exports.run_output import OUTPUT_TAG, output_of_day

_AT_ONCE = 500


class OutputRuns:
    """Knows the runs of one output; one for all requests.

    Args:
        instance: Has the runs of all outputs.
        store: The output.
        datasets: Returns the names of its datasets.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        store: Store,
        datasets: Callable[[], Iterable[str]],
    ) -> None:
        self._instance, self._store, self._datasets = instance, store, datasets
        self._untagged = dict[str, str | None]()
        self._is_here = dict[str, bool]()
        self._lock = threading.Lock()

    def has(self, run: dg.DagsterRun) -> bool:
        """Whether a run exported to this output, or does not say where. Blocks.

        Raises:
            OutputUnavailableError: a run names another place, and the output cannot be read.
        """
        place = self._place_of(run)
        if place is None or place == self._store.location:
            return True
        with self._lock:
            if place not in self._is_here:
                self._is_here[place] = place in self._earlier_places()
            return self._is_here[place]

    def _place_of(self, run: dg.DagsterRun) -> str | None:
        """Where a run exported to. One without the tag is of an earlier version: see its days."""
        if OUTPUT_TAG in run.tags or not run.is_finished:
            return run.tags.get(OUTPUT_TAG)
        if run.run_id not in self._untagged:
            places = (output_of_day(self._store, day) for day in self._published_by(run.run_id))
            self._untagged[run.run_id] = next(filter(None, places), None)
        return self._untagged[run.run_id]

    def _published_by(self, run_id: str) -> Iterator[dg.AssetMaterialization]:
        # The first days suffice: they are read before the report, if the run rendered it too.
        wanted = dg.DagsterEventType.ASSET_MATERIALIZATION
        page = self._instance.get_records_for_run(run_id, of_type=wanted, limit=5)
        for record in page.records:
            if event := record.event_log_entry.dagster_event:
                yield event.step_materialization_data.materialization

    def _earlier_places(self) -> set[str | None]:
        """Where the output was before it was moved: where the runs exported that made its days."""
        ids = sorted(self._publishers())
        runs = (
            record.dagster_run
            for begin in range(0, len(ids), _AT_ONCE)
            for record in self._instance.get_run_records(
                dg.RunsFilter(run_ids=ids[begin : begin + _AT_ONCE])
            )
        )
        return {self._place_of(run) for run in runs}

    def _publishers(self) -> set[str]:
        found = set[str]()
        for dataset in self._datasets():
            days = self._store.published_days(dataset)
            for _, content in self._store.read_manifests(dataset, days):
                if manifest := Manifest.if_readable(content):
                    found.add(manifest.run.run_id)
        return found
