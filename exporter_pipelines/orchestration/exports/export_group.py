"""The export that a run belongs to: one or more runs that were started together.

The service and `exporter export` start a run per dataset or per part of a long range, with the
same id in a tag. Every other run is an export by itself, and so is a backfill.
Belongs here: the tags, and what the other runs of an export have done so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import dagster as dg

from exporter_pipelines.contracts.progress import Progress
from exporter_pipelines.orchestration.exports.live_progress import live_progress
from exporter_pipelines.orchestration.exports.run_summary import summary_of

EXPORT_TAG = "exporter/export"
"""Id of the export."""
DAYS_TAG = "exporter/days"
"""Number of days of the export, of all its datasets and runs together."""
_ASK_AGAIN_S = 1.0


def total_days(tags: Mapping[str, str]) -> int:
    """The days of the whole export of a run; 0 if its tags do not say so."""
    text = tags.get(DAYS_TAG, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


class ExportShare:
    """The share of a whole export that is done, seen from one of its runs.

    Args:
        instance: Of the run.
        run: One of the runs of the export.
    """

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self._instance, self._run = instance, run
        self._days = total_days(run.tags)
        self._others, self._asked_at, self._most = 0.0, float("-inf"), 0.0

    def of(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> float:
        """The share of the export, 0 to 1, when this run has this progress. It never decreases."""
        if self._days <= progress.days:  # the only run of its export
            return progress.share
        if clock() - self._asked_at >= _ASK_AGAIN_S:
            self._others, self._asked_at = self._days_of_others(), clock()
        share = (progress.share * progress.days + self._others) / self._days
        self._most = max(self._most, min(share, 1.0))
        return self._most

    def _days_of_others(self) -> float:
        """Days that the other runs have ended, with the shares of those in progress."""
        wanted = dg.RunsFilter(tags={EXPORT_TAG: self._run.tags[EXPORT_TAG]})
        records = self._instance.get_run_records(wanted)
        replaced = {record.dagster_run.parent_run_id for record in records}
        return sum(
            _days_done(self._instance, record.dagster_run)
            for record in records
            if record.dagster_run.run_id not in {self._run.run_id, *replaced}
        )


def _days_done(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float:
    if run.is_finished:
        summary = summary_of(run)
        return sum(counts.ended for counts in summary.datasets.values()) if summary else 0
    live = live_progress(instance, run.run_id)
    return live.progress.share * live.progress.days if live else 0
