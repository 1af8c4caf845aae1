"""Checks the settings that all datasets share, and the driver of PostgreSQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

from exporter_pipelines import alert_settings, databases, dotenv_file, settings
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.extras import EXTRAS, MissingExtraError, is_installed

_T = TypeVar("_T")


def examine_settings(replaced: Sequence[str]) -> Iterator[Finding]:
    """Check `.env` against the shell, the time zone, and the days of all exports and of a run.

    Args:
        replaced: Variables whose value in `.env` differs from the shell.
    """
    if replaced:
        yield Finding(
            "warn", None, "settings",
            f"{dotenv_file.DOTENV_WINS} {', '.join(replaced)}",
            f"Dagster does the same. {dotenv_file.DOTENV_HINT}",
        )  # fmt: skip
    zone = _read(settings.timezone)
    yield zone if isinstance(zone, Finding) else _ok(f"Days begin at midnight in {zone}")
    days_per_run = _read(settings.backfill_days_per_run)
    if isinstance(days_per_run, Finding):
        yield days_per_run
    start, end = _read(settings.start_date), _read(settings.end_date)
    problems = [found for found in (start, end) if isinstance(found, Finding)]
    yield from problems
    if not problems:
        today = dt.datetime.now(ZoneInfo("UTC")).date()
        yield _range(str(start), str(end) if end else None, today)


def examine_extras() -> Iterator[Finding]:
    """Check that the extras that settings need are installed."""
    missing = [name for name in EXTRAS if not is_installed(name)]
    for name in missing:
        needed = name == "alerts" and alert_settings.alert_urls()
        error = MissingExtraError(name)
        yield Finding("FAIL" if needed else "warn", None, "extras", error.message, error.hint)
    if not missing:
        yield Finding("ok", None, "extras", f"Installed: {', '.join(EXTRAS)}")


def examine_driver() -> Finding:
    """Name the driver that PostgreSQL is read with, or say why it is refused."""
    try:
        driver = databases.postgres_driver()
    except ConfigurationError as error:
        return Finding("FAIL", None, "driver", error.message, error.hint)
    return Finding("ok", None, "driver", f"PostgreSQL is read with {driver.name}: {driver.path}")


def _range(start: str, end: str | None, today: dt.date) -> Finding:
    if end is not None and end <= start:
        return Finding(
            "FAIL", None, "settings",
            f"EXPORTER_END_DATE {end} is not after EXPORTER_START_DATE {start}: the range is empty",
            "The end is exclusive. Leave it empty to export up to yesterday.",
        )  # fmt: skip
    if start > str(today):
        return Finding(
            "FAIL", None, "settings", f"EXPORTER_START_DATE {start} is in the future",
            "Set it to the first day of your data.",
        )  # fmt: skip
    return _ok(f"Days from {start} {f'to before {end}' if end else 'up to yesterday'}")


def _read(read: Callable[[], _T]) -> _T | Finding:
    try:
        return read()
    except ConfigurationError as error:
        return Finding("FAIL", None, "settings", error.message, error.hint)


def _ok(message: str) -> Finding:
    return Finding("ok", None, "settings", message)
