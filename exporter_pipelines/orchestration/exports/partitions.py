"""The partitions definition that all datasets share.

Dagster refuses a selection or a backfill over assets with different partitions definitions. So the
start date, end date and time zone are settings of the project, not of a dataset.
https://docs.dagster.io/guides/build/partitions-and-backfills
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import is_day
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.exports.exit_messages import repeat_at_exit
from exporter_pipelines.orchestration.exports.run_config import ExportConfig

_DAY = r"(\d{4}-\d\d-\d\d)"


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """Days from EXPORTER_START_DATE to yesterday, or to EXPORTER_END_DATE, in EXPORTER_TIMEZONE."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date(),
        end_date=settings.end_date(),
        timezone=settings.timezone(),
    )


def days_of_run(context: dg.AssetExecutionContext) -> list[str]:
    """The days of a run, in order.

    Raises:
        dg.Failure: the run has none. The Launchpad starts such a run after a confirmation.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        problem = "the run has no partition: choose a day. See docs/failures.md#no-such-partition"
    elif not (days := list(context.partition_keys)):
        problem = "the last day of the range is before its first."
    else:
        return days
    return _fail(context, problem)


def days_to_export(context: dg.AssetExecutionContext, config: ExportConfig) -> list[str]:
    """The days of a run, in order; those under `days` in the run config, if there are any.

    Raises:
        dg.Failure: as `days_of_run`; or the run config names a day that is not one of the run, or
            the run has more than EXPORTER_MAX_DAYS.
    """
    days = days_of_run(context)
    if strangers := set(config.days).difference(days):
        _fail(context, f"{min(strangers)!r} under days in the run config is no day of this run.")
    days = sorted(set(config.days)) or days
    try:
        problem = too_many_days(_name(context), days[0], days[-1], len(days))
    except ConfigurationError as error:  # EXPORTER_MAX_DAYS is not a number
        problem = str(error)
    if problem:
        _fail(context, problem)
    return days


def _name(context: dg.AssetExecutionContext) -> str:
    return str(context.asset_key.to_user_string())


def _fail(context: dg.AssetExecutionContext, problem: str) -> NoReturn:
    message = f"{_name(context)}: {problem}"
    repeat_at_exit(message)
    raise dg.Failure(message, allow_retries=False)


def refuse_long_range(arguments: Sequence[str]) -> None:
    """Refuse a `--partition-range` of too many days before Dagster stores events for each of them.

    Args:
        arguments: The command line of this process. Other commands than `dagster` are ignored.

    Raises:
        ConfigurationError: the range has more than EXPORTER_MAX_DAYS.
    """
    if Path(arguments[0]).name != "dagster" or "materialize" not in arguments:
        return
    text = " ".join(arguments).replace("=", " ")
    found = re.search(rf"--partition-range {_DAY}\.\.\.{_DAY}", text)
    first, last = found.groups() if found else ("", "")
    if is_day(first) and is_day(last):
        count = (dt.date.fromisoformat(last) - dt.date.fromisoformat(first)).days + 1
        selected = re.search(r"--select (\S+)", text)
        names = selected[1].replace(",", " ") if selected else "DATASET"
        if problem := too_many_days(names, first, last, count):
            raise ConfigurationError(problem[0].upper() + problem[1:])


def too_many_days(datasets: str, first: str, last: str, count: int) -> str:
    """Why a run has too many days, and what to do instead; empty if it has not."""
    if count <= settings.max_days():
        return ""
    return (
        f"the run has {count:,} days, more than EXPORTER_MAX_DAYS={settings.max_days()} allows. "
        f"`exporter export {datasets} {first} {last}` splits them into several runs. Or choose "
        "fewer days. See docs/failures.md#too-many-days-in-one-run"
    )
