"""Refuses to publish a day in another time zone than the other days of its dataset.

Days of two zones overlap or leave a gap, so hours would be exported twice or never. A zone of
another name is accepted if the days that are looked at have the same midnights in it.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import ConfigurationError

_HALF_YEAR = dt.timedelta(days=182)
_NEAR = (-1, 1, -2, -3, -4, -5, -6, -7)


def refuse_another_zone(store: Store, dataset: str, window: DayWindow) -> None:
    """Compare a day with published days of the dataset.

    Usually one manifest is read. If a day nearby is of the same zone, the dataset is: that day was
    published only after the same comparison. Otherwise more days are read, see `_others`, which
    lists all of them. In a bucket, only the two next days are tried before: each is a request.

    Raises:
        ConfigurationError: a published day has other midnights than in the zone of `window`.
    """
    date = dt.date.fromisoformat(window.day)
    distances = _NEAR[:2] if store.is_remote else _NEAR
    numbers = (date.toordinal() + days for days in distances)
    near = [str(dt.date.fromordinal(n)) for n in numbers if 0 < n <= dt.date.max.toordinal()]
    if all(_compared(store, dataset, day, window) != window.timezone for day in near):
        for day in _others(store.published_days(dataset), window.day) - set(near):
            _compared(store, dataset, day, window)


def _others(days: list[str], day: str) -> set[str]:
    """A few days that show another zone, however far away they are.

    The nearest days alone do not: in winter, London has the midnights of UTC. So days half a year
    away are looked at as well, and the first and the last one.
    """
    date = dt.date.fromisoformat(day)
    wanted = [str(date + distance) for distance in (-_HALF_YEAR, dt.timedelta(), _HALF_YEAR)]
    around = [bisect_left(days, text) + side for text in wanted for side in (-1, 0, 1)]
    places = {0, len(days) - 1, *around}
    return {days[place] for place in places if 0 <= place < len(days)} - {day}


def _compared(store: Store, dataset: str, day: str, window: DayWindow) -> str | None:
    """The zone of a published day; None if there is none, or its manifest is damaged."""
    other = Manifest.if_readable(store.read_manifest(dataset, day))
    if other is None:
        return None
    here = DayWindow.of(day, window.timezone)
    if (other.window.start, other.window.end) != (here.start, here.end):
        raise ConfigurationError(
            f"{dataset} {day} is published as a day of {other.window.timezone}, but "
            f"EXPORTER_TIMEZONE is {window.timezone}.",
            "Set EXPORTER_OUTPUT_URL to a new folder, or restore the zone.",
        )
    return other.window.timezone
