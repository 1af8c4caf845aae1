"""Sums over all runs of an output that have ended, from their summaries; each is read once."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg

from exporter_pipelines.orchestration.exports.output_runs import OutputRuns
from exporter_pipelines.orchestration.exports.run_summary import DatasetSummary, summary_of

_PAGE = 500
_AGAIN = dt.timedelta(seconds=60)
"""How far back the storage is asked again: another process may store an earlier moment later."""
_ENDED = {
    dg.DagsterRunStatus.SUCCESS: "completed",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}


@dataclass
class DatasetTotals:
    """Sums over the runs of one dataset.

    Attributes:
        exports: Status -> runs.
        days: Status -> days.
        rows: `exported`, `rejected` or `filtered` -> rows of published days.
        bytes, seconds, timed_days: Of published days.
        last_success: When the newest run ended that published all of its days.
        valid_ratio, completeness_ratio: Of the newest run that published rows.
    """

    exports: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    seconds: float = 0.0
    last_success: float | None = None
    valid_ratio: float | None = None
    completeness_ratio: float | None = None
    _newest: float = 0.0

    def add(self, found: DatasetSummary, status: str, ended: float) -> None:
        """Add a run."""
        rest = found.days - found.ended
        self.days.update(published=found.published, held=found.held, failed=found.failed)
        if rest > 0:
            self.days["cancelled" if status == "cancelled" else "failed"] += rest
        self.exports[_outcome(found, status)] += 1
        filtered = found.rows_read - found.rows - found.rejected
        self.rows.update(exported=found.rows, rejected=found.rejected, filtered=filtered)
        self.bytes += found.bytes
        self.seconds += found.seconds
        if found.published == found.days:
            self.last_success = max(self.last_success or 0.0, ended)
        if found.rows_read and ended >= self._newest:
            self._newest = ended
            self.valid_ratio = 1 - found.rejected / found.rows_read
            self.completeness_ratio = 1 - found.nulls / found.values if found.values else None


class RunTotals:
    """Sums over the runs of an instance that exported to one output.

    Args:
        instance: Of Dagster.
        output: Knows these runs.
    """

    def __init__(self, instance: dg.DagsterInstance, output: OutputRuns) -> None:
        self._instance, self._output = instance, output
        self._lock = threading.Lock()
        self._counted = set[str]()
        self._since: dt.datetime | None = None
        self._totals = dict[str, DatasetTotals]()

    def by_dataset(self) -> dict[str, DatasetTotals]:
        """Dataset -> sums, with the runs that have ended since the last time. Blocks."""
        with self._lock:
            newest = self._since
            for record in self._changed():
                newest = max(newest or record.update_timestamp, record.update_timestamp)
                self._add(record)
            self._since = newest
            return dict(self._totals)

    def _changed(self) -> Iterator[dg.RunRecord]:
        since = self._since - _AGAIN if self._since else None
        wanted = dg.RunsFilter(statuses=list(_ENDED), updated_after=since)
        cursor = None
        while records := self._instance.get_run_records(wanted, limit=_PAGE, cursor=cursor):
            yield from records
            cursor = records[-1].dagster_run.run_id

    def _add(self, record: dg.RunRecord) -> None:
        run = record.dagster_run
        if run.run_id in self._counted:
            return
        summary = summary_of(run)
        if summary and self._output.has(run):
            for name, found in summary.datasets.items():
                totals = self._totals.setdefault(name, DatasetTotals())
                totals.add(found, _ENDED[run.status], record.end_time or 0.0)
        self._counted.add(run.run_id)


def _outcome(found: DatasetSummary, status: str) -> str:
    """The worst of what became of the days of one dataset, as for an export."""
    rest = found.days - found.ended
    if found.failed or (rest > 0 and status != "cancelled"):
        return "failed"
    if found.held:
        return "held"
    return "cancelled" if rest > 0 else "completed"
