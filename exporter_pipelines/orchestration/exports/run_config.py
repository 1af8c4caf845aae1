"""The run config of exports. No field changes the content of the files of a day.

https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from exporter_pipelines.contracts.day_window import is_day
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS
from exporter_pipelines.errors import ConfigurationError


class ExportConfig(dg.Config):
    """Run config of an export."""

    batch_rows: int = Field(
        DEFAULT_BATCH_ROWS,
        description=linked(
            "Maximum number of rows in a batch, 1,000 to 500,000; 50,000 by default. Larger "
            "batches are faster and take more memory. See docs/settings.md"
        ),
    )
    days: list[str] = Field(
        [],
        description="Days to export, YYYY-MM-DD, out of the range of the run. Empty: all of them.",
    )
    accept_loss_days: list[str] = Field(
        [],
        description="Days, YYYY-MM-DD, whose published export may be replaced although the source "
        "has lost rows of it. All other days are judged by the checks no_lost_rows and "
        "same_source.",
    )

    def check(self) -> None:
        """Refuse invalid values. Bounds in the fields would fail with a stack trace instead.

        Raises:
            ConfigurationError: `batch_rows` is too small or too large, or `days` or
                `accept_loss_days` names something that is not a day.
        """
        if not 1_000 <= self.batch_rows <= 500_000:
            raise ConfigurationError(
                f"batch_rows={self.batch_rows} in the run config is out of range.",
                "Choose 1,000 to 500,000, or leave it out.",
            )
        lists = {"days": self.days, "accept_loss_days": self.accept_loss_days}
        for name, days in lists.items():
            for day in days:
                if not is_day(day):
                    raise ConfigurationError(
                        f"{day!r} under {name} in the run config is not a day.",
                        "Write days as YYYY-MM-DD.",
                    )
