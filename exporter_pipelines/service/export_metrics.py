"""The user's four numbers over many exports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter_pipelines.orchestration.exports.run_summary import DatasetSummary, RunSummary
from exporter_pipelines.service.models import ExportMetrics, ExportSummary, Quality


@dataclass
class MetricsOf:
    """Sums over exports that have ended.

    Attributes:
        dataset: Only the rows of this dataset; None for all.
    """

    dataset: str | None
    _exports: int = 0
    _completed: int = 0
    _with_rows: int = 0
    _rows: int = 0
    _sums: DatasetSummary = field(default_factory=DatasetSummary)

    def add(self, export: ExportSummary, summaries: Iterable[RunSummary | None]) -> None:
        """Add an export. Runs without a summary, which were killed, have no quality metrics."""
        self._exports += 1
        self._completed += export.status == "completed"
        parts = [
            part
            for summary in summaries
            if summary
            for name, part in summary.datasets.items()
            if self.dataset in (None, name)
        ]
        rows = sum(part.rows for part in parts) if parts else export.rows_exported
        self._with_rows += export.days["published"] > 0
        self._rows += rows
        for part in parts:
            for name in ("rows_read", "rejected", "repeated_keys", "nulls", "values"):
                setattr(self._sums, name, getattr(self._sums, name) + getattr(part, name))

    def result(self) -> ExportMetrics:
        """The numbers; those over nothing are null."""
        sums = self._sums
        return ExportMetrics(
            totalExports=self._exports,
            successRate=_percent(self._completed, self._exports),
            averageRecords=round(self._rows / self._with_rows, 1) if self._with_rows else None,
            qualityMetrics=Quality(
                valid_pct=_percent(sums.rows_read - sums.rejected, sums.rows_read),
                completeness_pct=_percent(sums.values - sums.nulls, sums.values),
                repeated_keys=sums.repeated_keys,
                rejected_rows=sums.rejected,
            ),
        )


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 4) if whole else None
