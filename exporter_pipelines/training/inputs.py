"""The published days that a training set is built from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from exporter_pipelines.contracts.manifest import ColumnSchema, Manifest
from exporter_pipelines.errors import UnknownNameError

ORDER = "_n"
"""Column that numbers the rows of all days of a dataset: by day, then in the order of the files."""


@dataclass(frozen=True)
class Input:
    """The days of one dataset.

    Attributes:
        dataset: Its name.
        key, time_column: Of its rows, under their exported names.
        columns: Of its rows; the same on all days.
        days: Day -> manifest, oldest first.
    """

    dataset: str
    key: str
    time_column: str
    columns: dict[str, ColumnSchema]
    days: dict[str, Manifest]

    def require(self, names: Iterable[str], what: str) -> None:
        """Refuse a column that the rows do not have.

        Raises:
            UnknownNameError: the message lists the columns.
        """
        for name in names:
            if name not in self.columns:
                raise UnknownNameError(f"{what}: column", name, self.columns)


@dataclass(frozen=True)
class Inputs:
    """Everything a set is built from.

    Attributes:
        rows: The dataset whose rows become examples.
        labels: Name -> label dataset.
        left_out: Day -> why it is not used.
    """

    rows: Input
    labels: dict[str, Input]
    left_out: dict[str, str]

    def open_ends(self) -> list[int]:
        """Ends of days, in microseconds, whose next day is not used."""
        windows = [manifest.window for manifest in self.rows.days.values()]
        starts = {window.start for window in windows}
        return [_microseconds(window.end) for window in windows if window.end not in starts]

    def versions(self) -> dict[str, dict[str, str]]:
        """Dataset -> day -> `data_version`."""
        return {
            each.dataset: {day: manifest.data_version for day, manifest in each.days.items()}
            for each in {each.dataset: each for each in (self.rows, *self.labels.values())}.values()
        }


def _microseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
