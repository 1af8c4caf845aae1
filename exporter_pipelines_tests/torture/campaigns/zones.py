"""Rows at every border of days of twelve zones, under three zones of the host and the database."""

from __future__ import annotations

import datetime as dt
import os
import time
from zoneinfo import ZoneInfo

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import export, rows
from exporter_pipelines_tests.test_day_windows import instants_dataset
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ZONES

SPANS = {
    "UTC": ["2026-02-28"],
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Asia/Kolkata": ["2026-06-30"],
    "Asia/Kathmandu": ["2026-12-31"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/St_Johns": ["2007-03-11", "2007-11-04"],
    "America/Havana": ["2024-03-10", "2024-11-03"],
    "America/Sao_Paulo": ["2018-02-18", "2018-11-04"],
    "Africa/Cairo": ["2024-04-26", "2024-10-31"],
    "Pacific/Apia": ["2011-12-30", "2026-11-01"],
    "Pacific/Chatham": ["2026-04-05", "2026-09-27"],
}
"""Day zone -> days around which rows lie: nights on which its clocks changed, or any day."""

ELSEWHERE = ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kathmandu", "UTC"]
"""Zones of the host and of the database, in turn; a pair is never one zone but for UTC."""

_DAYS = 2
"""Before and after, which are exported as well: a row in no day or in two is found."""


def run(trial: Trial) -> None:
    """Each row, stored with and without a zone, lies in exactly the day that its clock shows."""
    spans = [(zone, day) for zone, days in SPANS.items() for day in days]
    for number in trial.rounds(len(spans), "nights"):
        zone, day = spans[number]
        host, database = (ELSEWHERE[(number + n) % len(ELSEWHERE)] for n in (0, 1))
        with trial.database() as backend:
            name = backend.run("SELECT current_database()")[0][0]
            backend.run(f"ALTER DATABASE \"{name}\" SET timezone = '{database}'")
            os.environ["TZ"] = host
            time.tzset()
            _night(trial, backend, zone, day, f"{zone} {day}, host {host}, database {database}")


def _night(trial: Trial, backend: Backend, zone: str, day: str, what: str) -> None:
    middle = dt.date.fromisoformat(day)
    days = [(middle + dt.timedelta(days=n)).isoformat() for n in range(-_DAYS, _DAYS + 1)]
    windows = [DayWindow.of(one, zone) for one in days]
    instants = _instants(trial, windows)
    backend.run("CREATE TABLE instants (id int PRIMARY KEY, aware timestamptz, naive timestamp)")
    # Without a zone they are stored in UTC, as `timezone: UTC` of the dataset says.
    backend.run(
        "INSERT INTO instants SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::timestamp[])",
        [list(range(len(instants))), instants, [i.replace(tzinfo=None) for i in instants]],
    )
    expected = {n: [_date(instant, zone)] for n, instant in enumerate(instants)}
    for column in ("aware", "naive"):
        store = LocalStore(trial.folder / f"{zone}-{day}-{column}")
        found: dict[int, list[str]] = {n: [] for n in expected}
        for window in windows:
            manifest = export(
                backend.url, instants_dataset(column), window.day, store, timezone=zone
            )
            for row in rows(store, manifest):
                found[row["id"]].append(window.day)
        for number, belongs in expected.items():
            wanted = belongs if belongs[0] in days else []
            trial.check(
                found[number] == wanted,
                f"{what}: {column} {instants[number]} is of {wanted}, found in {found[number]}",
                part=column,
            )


def _instants(trial: Trial, windows: list[DayWindow]) -> list[dt.datetime]:
    """Each border, a microsecond beside it, every half hour of the night, and some at random."""
    near = [dt.timedelta(microseconds=n) for n in (-1, 0, 1)]
    first, last = windows[0].start, windows[-1].end
    borders = [border for w in windows for border in (w.start, w.end)]
    found = {border + step for border in borders for step in near}
    middle = windows[_DAYS].start
    found |= {middle + n * dt.timedelta(minutes=30) for n in range(-8, 9)}
    span = (last - first) // dt.timedelta(microseconds=1)
    found |= {first + dt.timedelta(microseconds=trial.dice.randrange(span)) for _ in range(30)}
    return sorted(found)


def _date(instant: dt.datetime, zone: str) -> str:
    """The newest date that the clock has shown: a night with two midnights changes at the first.

    In St John's the clocks of 2007-11-04 went back at 00:01, to 23:01 of the day before.
    """
    lately = (instant - dt.timedelta(minutes=n) for n in range(121))
    return max(moment.astimezone(ZoneInfo(zone)).date() for moment in lately).isoformat()
