"""The run config of exports: only what cannot change the files of a day.

https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from exporter_pipelines.contracts.day_window import is_day
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.errors import ConfigurationError


class ExportConfig(dg.Config):
    """Run config: only what cannot change the output."""

    batch_rows: int = Field(
        DEFAULT_BATCH_ROWS,
        description="Most rows in a batch, 1,000 to 500,000. More is faster and takes more memory. "
        "Another number is refused when the run starts. See docs/operations.md",
    )
    accept_loss_days: list[str] = Field(
        [],
        description="Days, YYYY-MM-DD, whose published export may be replaced by an empty one "
        "because the source has lost their rows. The check no_lost_rows holds all other days.",
    )

    def check(self) -> None:
        """Refuse what is out of bounds; pydantic's own bounds fail as a stack trace.

        Raises:
            ConfigurationError: `batch_rows` is too small or too large, or `accept_loss_days` names
                something that is not a day.
        """
        if not 1_000 <= self.batch_rows <= 500_000:
            raise ConfigurationError(
                f"The run config asks for batch_rows={self.batch_rows}.",
                "Choose 1,000 to 500,000, or leave it out.",
            )
        for day in self.accept_loss_days:
            if not is_day(day):
                raise ConfigurationError(
                    f"The run config names {day!r} under accept_loss_days, which is not a day.",
                    "Write days as YYYY-MM-DD.",
                )
