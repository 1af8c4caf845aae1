"""Shows the progress of `exporter verify`, see `export_progress`."""

from __future__ import annotations

from exporter_pipelines.cli.export_progress import Display
from exporter_pipelines.contracts.progress import Meter, duration, percent
from exporter_pipelines.errors import printable
from exporter_pipelines.verification.run import Summary


class VerifyDisplay(Display):
    """How many days were verified, and what was found.

    Args:
        summary: Counts the findings.

    Attributes:
        doing: What is shown before and after the days; empty during them.
    """

    def __init__(self, summary: Summary) -> None:
        super().__init__(lambda: (self._meter.now().share, self.line()))
        self._summary, self._meter, self.doing = summary, Meter(0), "listing the days"

    def follow(self, meter: Meter) -> None:
        """The days are known; `meter` tells how far they are."""
        self._meter, self.doing = meter, ""

    def line(self) -> str:
        """`118 of 252 days, verify 46 %, logs 2026-11-05, day 50 %, 2 findings, 3 min left`."""
        if self.doing:
            return self.doing
        now = self._meter.now()
        parts = [f"{now.ended:,} of {now.days:,} days", f"verify {percent(now.share)}"]
        if now.day:
            parts.append(f"{printable(now.dataset)} {now.day}")
        if now.rows:
            parts.append(f"day {percent(now.day_share)}")
        if found := len(self._summary.findings):
            parts.append("1 finding" if found == 1 else f"{found:,} findings")
        if now.eta_s is not None:
            parts.append(f"{duration(now.eta_s)} left")
        return ", ".join(parts)
