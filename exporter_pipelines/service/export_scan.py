"""The exports of an instance, newest first: which runs are read, and how they are grouped.

Runs are read in pages, each with at most five queries, whatever the number of runs. No event is
read here.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.orchestration.dagster_internals.backfills import (
    Backfill,
    waiting_backfills,
)
from exporter_pipelines.service.dagster_ui import USER_TAG
from exporter_pipelines.service.export_runs import ExportRuns, export_id, exports_of_runs
from exporter_pipelines.service.problems import FieldError, Problem

_PAGE = 100
"""Runs that are read at once for a page of exports; more for numbers over all of them."""
_MOST_BACKFILLS = 50


@dataclass(frozen=True)
class Scanned:
    """One run on the way through the history.

    Attributes:
        run_id: The cursor of what follows.
        export: The export that it belongs to; None if that was found before.
    """

    run_id: str
    export: ExportRuns | None


@dataclass(frozen=True)
class Scan:
    """Reads the history from the newest run to the oldest.

    Attributes:
        instance: Whose history.
        user: Only exports that this principal started.
        first, last: Only exports that were started on these days, in EXPORTER_TIMEZONE.
        page: Number of runs that are read at once.
    """

    instance: dg.DagsterInstance
    user: str | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    page: int = _PAGE

    def waiting(self) -> list[ExportRuns]:
        """Backfills that have not started a run yet, newest first."""
        found = waiting_backfills(self.instance, _MOST_BACKFILLS)
        if not found:
            return []
        with_runs = {
            record.dagster_run.tags["dagster/backfill"]
            for record in self.instance.get_run_records(
                dg.RunsFilter(tags={"dagster/backfill": [each.id for each in found]})
            )
        }
        return [
            ExportRuns(each.id, [], each)
            for each in found
            if each.id not in with_runs and self._has(each)
        ]

    def runs(self, cursor: str | None) -> Iterator[Scanned]:
        """The runs after a cursor, each with its export.

        Raises:
            Problem: 422 if there is no such run.
        """
        seen: set[str] = set()
        before = self._place_of(cursor) if cursor else math.inf
        active = {each.id: each for each in waiting_backfills(self.instance, _MOST_BACKFILLS)}
        while records := self.instance.get_run_records(
            self._filter, limit=self.page, cursor=cursor
        ):
            exports = {each.id: each for each in exports_of_runs(self.instance, records)}
            for record in records:
                run = record.dagster_run
                export = exports[export_id(run)]
                is_new = export.id not in seen and self._newest(export.records) < before
                seen.add(export.id)
                found = replace(export, backfill=active.get(export.id)) if is_new else None
                yield Scanned(run.run_id, found)
            if len(records) < self.page:
                return
            cursor = records[-1].dagster_run.run_id

    def _place_of(self, cursor: str) -> int:
        records = self.instance.get_run_records(dg.RunsFilter(run_ids=[cursor]))
        if not records:
            message = "This is no cursor of a page, or its run was deleted. Begin without one."
            raise Problem(422, message, errors=[FieldError("/cursor", message)])
        return records[0].storage_id

    def _newest(self, records: Sequence[dg.RunRecord]) -> int:
        """The place of an export in the list: that of its newest run in the range."""
        _, end = self._moments
        return max(
            (each.storage_id for each in records if end is None or _utc(each) < end), default=0
        )

    @property
    def _moments(self) -> tuple[dt.datetime | None, dt.datetime | None]:
        # A day at an end of the calendar restricts nothing, and has no midnight in some zones.
        zone, begin, end = settings.timezone(), None, None
        if self.first and self.first.year > 1:
            begin = DayWindow.of(str(self.first), zone).start
        if self.last and self.last.year < dt.MAXYEAR:
            end = DayWindow.of(str(self.last), zone).end
        return begin, end

    @property
    def _filter(self) -> dg.RunsFilter:
        begin, end = self._moments
        return dg.RunsFilter(
            tags={USER_TAG: self.user} if self.user else None,
            created_after=begin - dt.timedelta(microseconds=1) if begin else None,
            created_before=end,
        )

    def _has(self, backfill: Backfill) -> bool:
        begin, end = self._moments
        created = dt.datetime.fromtimestamp(backfill.created_at, dt.UTC)
        is_in_range = (begin is None or created >= begin) and (end is None or created < end)
        return is_in_range and self.user in (None, backfill.tags.get(USER_TAG))


def _utc(record: dg.RunRecord) -> dt.datetime:
    created: dt.datetime = record.create_timestamp
    return created if created.tzinfo else created.replace(tzinfo=dt.UTC)
