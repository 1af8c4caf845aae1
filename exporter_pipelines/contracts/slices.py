"""A day that is read in parts of its time, each by one of several readers.

The bytes of the files depend on the number of slices, never on the number of readers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.errors import ConfigurationError

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


def check_slices(
    name: str,
    count: int,
    *,
    has_policy: bool,
    has_file_limit: bool,
    sql_rules: Sequence[tuple[str, str]],
) -> None:
    """Check that a dataset whose days are read in slices has no setting that needs whole days.

    Args:
        name: Of the dataset.
        count: Its number of slices.
        has_policy: Whether it has a privacy policy.
        has_file_limit: Whether it has `max_file_records`.
        sql_rules: See `DatasetConfig.sql_rules`.

    Raises:
        ConfigurationError: it has one; the message names it.
    """
    if count == 1:
        return
    if has_policy:
        raise ConfigurationError(
            f"{name} has `slices: {count}` and a privacy policy, which needs all names of a day "
            "before its first row.",
            "Remove `slices`, or export the days with a policy from a second dataset without it.",
        )
    if has_file_limit:
        raise ConfigurationError(
            f"{name} has both `slices` and `max_file_records`, and both decide where a file ends.",
            "Remove one of them.",
        )
    windowed = [rule for rule, text in sql_rules if _WINDOW_FUNCTION.search(text)]
    if windowed:
        raise ConfigurationError(
            f"The SQL rule {windowed[0]!r} of {name} has a window function, which would see one "
            "slice of the day instead of all its rows.",
            "Remove `slices`, or write the rule without OVER.",
        )
