"""Days that a retried run need not export, because the run that it retries has published them.

Dagster retries a run whose process was killed, with all of its days.
https://docs.dagster.io/deployment/execution/run-retries

Belongs here: whether such a day is still as the earlier run left it. A day counts only if its
checks are in the history as well: the retried run records both again, since Dagster shows a day by
its newest run. A run that a user starts again exports all of its days.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import dagster as dg

from exporter_pipelines import __version__
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.judge import Verdict, checks_of
from exporter_pipelines.engine.private_fingerprint import stored_fingerprint
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.check_history import evaluations

_RETRIES_TAG = "dagster/parent_run_id"
"""On a run that repeats another one, also if a user started it; its value is the other run."""
_RETRIED_BY_TAG = "dagster/auto_retry_run_id"
"""On a run that Dagster has retried; its value is the run that retries it."""


@dataclass(frozen=True)
class RetriedRuns:
    """The runs that a run retries.

    Attributes:
        instance: Of the run.
        run_ids: The run that it retries, the one that this retried, and so on. Empty for a run
            that is not a retry.
    """

    instance: dg.DagsterInstance
    run_ids: tuple[str, ...]

    @classmethod
    def of(cls, instance: dg.DagsterInstance, run: dg.DagsterRun) -> RetriedRuns:
        """Read them from the tags of the runs."""
        found: list[str] = []
        while parent := instance.get_run_by_id(run.tags.get(_RETRIES_TAG, "")):
            if parent.tags.get(_RETRIED_BY_TAG) != run.run_id:
                break
            found.append(parent.run_id)
            run = parent
        return cls(instance, tuple(found))

    def published(
        self, dataset: Dataset, window: DayWindow, store: Store, session: Session
    ) -> DayOutcome | None:
        """The outcome of a day that one of them published; None if the day is to be exported.

        The day counts if it was exported with the same settings and version, and the source still
        has the same rows. Errors count as a change: the export meets them again and reports them.
        """
        if not self.run_ids:
            return None
        try:
            data = store.read_manifest(dataset.name, window.day)
            manifest = Manifest.if_readable(data)
            if manifest is None or not self._made(manifest, dataset):
                return None
            known = store.read_fingerprint(dataset.name, window.day, generation_of(data))
            with session.day(dataset, window) as snapshot:
                now = stored_fingerprint(dataset, snapshot.info.fingerprint)
        except ExporterError:
            return None
        verdicts = self._verdicts(dataset, window.day) if now == known else None
        if verdicts is None:
            return None
        return DayOutcome(
            dataset.name, window.day, verdicts, manifest, _quarantine(manifest, store)
        )

    def _made(self, manifest: Manifest, dataset: Dataset) -> bool:
        return (
            manifest.run.run_id in self.run_ids
            and manifest.run.code_version == __version__
            and manifest.export_config == dataset.config.for_manifest()
        )

    def _verdicts(self, dataset: Dataset, day: str) -> list[Verdict] | None:
        """What the checks found in the run that published the day; None if one is missing."""
        verdicts = []
        for check in checks_of(dataset.config):
            found = evaluations(self.instance, self.run_ids, dataset.name, check, day)
            if not found:
                return None
            verdicts.append(_verdict(found[0]))
        return verdicts


def _quarantine(manifest: Manifest, store: Store) -> str | None:
    if manifest.quarantine is None:
        return None
    where = store.quarantine_location(manifest.dataset, manifest.partition)
    return f"{where}/{PurePosixPath(manifest.quarantine.path).name}"


def _verdict(evaluation: dg.AssetCheckEvaluation) -> Verdict:
    numbers = {
        name: value.value
        for name, value in evaluation.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        and value.value is not None
    }
    return Verdict(
        evaluation.check_name,
        evaluation.passed,
        "ERROR" if evaluation.severity is dg.AssetCheckSeverity.ERROR else "WARN",
        evaluation.description or "",
        numbers,
    )
