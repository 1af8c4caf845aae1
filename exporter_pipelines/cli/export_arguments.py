"""The arguments of `exporter export`, checked without imports that take long."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import click

from exporter_pipelines import settings
from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.errors import printable

Only = Literal["missing", "held", "failed"]

ONLY: tuple[Only, ...] = ("missing", "held", "failed")
_EXAMPLE = "exporter export logs 2026-11-01 2026-11-14"


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        datasets: Names as typed; whether they exist is not known yet.
        first, last: The range, both included.
        only: States to which the days are restricted; empty for all days.
        days_with_rows, check_only, accept_loss: The options.
        server: Address of the service that exports the days; None for this process.
    """

    datasets: tuple[str, ...]
    first: dt.date
    last: dt.date
    only: frozenset[str]
    days_with_rows: bool
    check_only: bool
    accept_loss: bool
    server: str | None = None

    @property
    def days(self) -> list[str]:
        """All days of the range."""
        return days_between(str(self.first), str(self.last))

    @property
    def span(self) -> str:
        """The datasets and the range, as text."""
        to = f" to {self.last}" if self.last != self.first else ""
        return f"{', '.join(self.datasets)}, {self.first}{to}"

    def first_line(self) -> str:
        """What the command begins with."""
        at = f" at {self.server}" if self.server else ""
        what = "Checking" if self.check_only else "Exporting"
        return printable(f"{what} {self.span}{at}{self.restriction()}")

    def restriction(self) -> str:
        """How the options restrict the days, as text."""
        states = [state for state in ONLY if state in self.only]
        parts = [f"days that are {' or '.join(states)}"] if states else []
        parts += ["days with rows"] if self.days_with_rows else []
        return f": only {', and of these only '.join(parts)}" if parts else ""

    def again(self, only: str) -> str:
        """The command that exports the rest."""
        last = f" {self.last}" if self.last != self.first else ""
        is_set = self.server in (None, settings.api_url())
        at = "" if is_set else f" --server {self.server}"
        # A day without rows is missing too, and was not wanted.
        rows = " --days-with-rows" if self.days_with_rows and "missing" in only else ""
        datasets = " ".join(self.datasets)
        return f"exporter export {datasets} {self.first}{last} --only {only}{rows}{at}"


def parse_only(_context: click.Context, _option: click.Parameter, value: str | None) -> set[str]:
    """The states of `--only`."""
    states = {part.strip() for part in value.split(",")} if value is not None else set()
    if unknown := sorted(states.difference(ONLY)):
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(ONLY)}.")
    return states


def parse_request(
    arguments: tuple[str, ...],
    only: set[str],
    *,
    days_with_rows: bool,
    check_only: bool,
    accept_loss: bool,
    server: str | None = None,
) -> Request:
    """Split the arguments into datasets and days.

    Raises:
        click.UsageError: a day is missing, malformed, or outside of the days that exist.
        ConfigurationError: a setting is wrong.
    """
    is_day = [argument[:1].isdigit() for argument in arguments]
    names = arguments[: is_day.index(True)] if any(is_day) else arguments
    days = [day for argument in arguments[len(names) :] for day in argument.split("...")]
    if not names:
        raise click.UsageError(f"Name at least one dataset before the days: {_EXAMPLE}")
    if not days:
        raise click.UsageError(f"Name the day, or the first and the last one: {_EXAMPLE}")
    if len(days) > 2:
        raise click.UsageError(f"Name one day, or the first and the last one: {_EXAMPLE}")
    first, last = parse_range(days[0], days[-1])
    if server is None:  # a service knows itself which days exist
        _require_existing(first, last)
    return Request(
        tuple(dict.fromkeys(names)), first, last, frozenset(only),
        days_with_rows, check_only, accept_loss, server,
    )  # fmt: skip


def parse_range(first: str, last: str) -> tuple[dt.date, dt.date]:
    """The first and the last day.

    Raises:
        click.UsageError: one is malformed, or they are in the wrong order.
    """
    begins, ends = _day(first), _day(last)
    if ends < begins:
        raise click.UsageError(f"The last day {ends} is before the first day {begins}.")
    return begins, ends


def _day(text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or str(day) != text:
        raise click.UsageError(f"{text!r} is not a day. Write it as YYYY-MM-DD.")
    return day


def _require_existing(first: dt.date, last: dt.date) -> None:
    begins, ends = settings.start_date(), settings.end_date()
    yesterday = settings.today() - dt.timedelta(days=1)
    if str(first) < begins:
        raise click.UsageError(
            f"{first} is before the first day, EXPORTER_START_DATE={begins} in .env."
        )
    if ends and str(last) >= ends:
        raise click.UsageError(f"{last} is not before the end, EXPORTER_END_DATE={ends} in .env.")
    if last > yesterday:
        raise click.UsageError(
            f"{last} is not over yet in EXPORTER_TIMEZONE={settings.timezone()}: the last day is "
            f"{yesterday}."
        )
