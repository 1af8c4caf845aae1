"""The numbers of the published days before a day, for the drift checks.

They come from the manifests, never from the database: exports are compared with exports, and the
source has no extra load.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.errors import OutputUnavailableError

TRAILING_DAYS = 14
"""Two of each weekday."""


@dataclass(frozen=True)
class DayNumbers:
    """The numbers by which days are compared.

    Attributes:
        rows: Rows read, less those that a filter left out.
        rows_exported: The base of `completeness_pct.<column>` and `values.<column>.<value>`.
        metrics: The manifest's `data_quality_metrics`.
    """

    rows: int
    rows_exported: int
    metrics: Mapping[str, float | int]

    @classmethod
    def of_tally(cls, tally: Tally) -> Self:
        """Of a day that is not published yet."""
        rows = tally.rows_read - tally.rows_filtered.total()
        return cls(rows, tally.rows_exported, tally.quality_metrics())

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> Self:
        """Of a published day."""
        counts = manifest.counts
        rows = counts.read - counts.filtered
        return cls(rows, counts.exported, manifest.data_quality_metrics)


@dataclass
class TrailingDays:
    """The published days of one dataset, each manifest read once; keep one for a whole run.

    A run exports its days in order, so it reads a day only after its own attempt at that day.
    Days that another run publishes in the meantime are not seen.
    """

    store: Store
    dataset: str
    _known: dict[str, DayNumbers | None] = field(default_factory=dict)

    def before(self, day: str) -> list[DayNumbers]:
        """The published days among the 14 days before `day`, oldest first."""
        date = dt.date.fromisoformat(day)
        days = [str(date - dt.timedelta(days=back)) for back in range(TRAILING_DAYS, 0, -1)]
        if unknown := [each for each in days if each not in self._known]:
            self._learn(unknown)
        return [numbers for each in days if (numbers := self._known[each])]

    def _learn(self, days: list[str]) -> None:
        """None for a day that is not published, or is damaged: that must not fail other days."""
        found = self.store.read_manifests(self.dataset, days)
        for number, day in enumerate(days):
            try:
                _, data = next(found)
            except OutputUnavailableError:
                self._known[day] = None
                found = self.store.read_manifests(self.dataset, days[number + 1 :])
                continue
            manifest = Manifest.if_readable(data)
            self._known[day] = DayNumbers.of_manifest(manifest) if manifest else None
