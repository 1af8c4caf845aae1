"""A day that is read in parts of its time, each by one of several readers.

The bytes of the files depend on the number of slices, never on the number of readers.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.errors import ConfigurationError

if TYPE_CHECKING:
    from exporter_pipelines.contracts.dataset import DatasetConfig

_WINDOW_FUNCTION = re.compile(r"\bover\b", re.IGNORECASE)


def slices_of(window: DayWindow, count: int) -> list[DayWindow]:
    """A day in parts of equal length, in order; a day of 23 or 25 hours has as many.

    Args:
        window: The day.
        count: Number of parts.
    """
    length = window.end - window.start
    borders = [window.start + number * length / count for number in range(count)] + [window.end]
    return [DayWindow(window.day, start, end, window.timezone) for start, end in pairwise(borders)]


def check_slices(config: DatasetConfig) -> None:
    """Check that a dataset whose days are read in slices has no setting that needs whole days.

    Raises:
        ConfigurationError: it has one; the message names it.
    """
    if config.slices == 1:
        return
    if config.privacy is not None:
        raise ConfigurationError(
            f"{config.name} has `slices: {config.slices}` and a privacy policy, which needs all "
            "names of a day before its first row.",
            "Remove `slices`, or export the days with a policy from a second dataset without it.",
        )
    if config.max_file_records is not None:
        raise ConfigurationError(
            f"{config.name} has both `slices` and `max_file_records`, and both decide where a "
            "file ends.",
            "Remove one of them.",
        )
    windowed = [name for name, text in config.sql_rules if _WINDOW_FUNCTION.search(text)]
    if windowed:
        raise ConfigurationError(
            f"The SQL rule {windowed[0]!r} of {config.name} has a window function, which would see "
            "one slice of the day instead of all its rows.",
            "Remove `slices`, or write the rule without OVER.",
        )
