"""`exporter export --check-only`: validates days, prints what an export would find."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from exporter_pipelines import databases, settings
from exporter_pipelines.cli.export_arguments import Request
from exporter_pipelines.cli.export_progress import ProgressDisplay
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.check_day import CheckedDay, check_day
from exporter_pipelines.engine.outside_days import CHECK as OUTSIDE
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.engine.trailing_days import TrailingDays
from exporter_pipelines.errors import (
    ExporterError,
    MissingSettingError,
    OutputUnavailableError,
    SourceUnavailableError,
)
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines.stores.read_only import read_only

_MOST_DAYS = 10
"""Days that are listed per kind of finding."""
_OUT_OF_REACH = (SourceUnavailableError, MissingSettingError, OutputUnavailableError)


@dataclass
class _Found:
    """What was found in the days of one dataset.

    Attributes:
        dataset: Its name.
        total: Counts of all days together.
        days: Number of checked days.
        size_bytes: Of their data files.
        held, failed: Day -> why it would not be published.
        warned: Check -> day -> reason.
        out_of_reach: Whether the database or the scratch folder cannot be reached.
        not_checked: Days that were not tried.
    """

    dataset: str
    total: Tally = field(default_factory=Tally)
    days: int = 0
    size_bytes: int = 0
    held: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    warned: dict[str, dict[str, str]] = field(default_factory=dict)
    out_of_reach: bool = False
    not_checked: int = 0

    def add(self, checked: CheckedDay) -> None:
        self.days += 1
        self.size_bytes += checked.size_bytes
        self.total.add(checked.tally)
        if checked.reasons:
            self.held[checked.day] = " ".join(checked.reasons)
        for verdict in checked.verdicts:
            if not verdict.passed and not verdict.holds:
                self.warned.setdefault(verdict.check, {})[checked.day] = verdict.reason


def check(request: Request, days: Mapping[str, Sequence[str]]) -> int:
    """Check the days, print what was found, and return the exit code."""
    found = [_Found(name, not_checked=len(wanted)) for name, wanted in days.items()]
    interrupted = False
    with (
        tempfile.TemporaryDirectory(prefix="exporter-check-") as scratch,
        ProgressDisplay(sum(map(len, days.values())), "starting") as progress,
        databases.open_session() as session,
    ):
        store = read_only(open_store(), Path(scratch))
        try:
            for each in found:
                _check(each, days[each.dataset], store, session, progress, request)
                if each.out_of_reach:
                    break
        except KeyboardInterrupt:
            interrupted = True
    for each in found:
        _print(each)
    count = sum(each.days for each in found)
    stopped = "Interrupted: " if interrupted else ""
    click.echo(f"{stopped}{count:,} of {sum(map(len, days.values())):,} days checked. "
               "Nothing was published.")  # fmt: skip
    if interrupted:
        return 130
    if any(each.out_of_reach for each in found):
        return 3
    return int(any(each.held or each.failed for each in found))


def _check(
    found: _Found,
    days: Sequence[str],
    store: Store,
    session: Session,
    progress: ProgressDisplay,
    request: Request,
) -> None:
    dataset = dataset_named(found.dataset)
    trailing_days = TrailingDays(store, dataset.name)
    outside_days = OutsideDays(
        ExportableDays.of(settings.start_date(), settings.end_date(), settings.timezone())
    )
    for day in days:
        progress.begin(dataset.name, day)
        try:
            checked = check_day(
                dataset,
                DayWindow.of(day, settings.timezone()),
                session=session,
                store=store,
                notify=lambda line: click.echo(line, err=True),
                trailing_days=trailing_days,
                outside_days=outside_days,
                accept_loss=request.accept_loss,
                sample=databases.is_sample(dataset.config.source.url),
                progress=progress.rows,
            )
        except ExporterError as error:
            found.failed[day] = str(error)
            found.out_of_reach = isinstance(error, _OUT_OF_REACH) and error.affects_all_days
            if error.affects_all_days:  # each other day would fail in the same way
                found.not_checked -= 1
                break
        else:
            found.add(checked)
        found.not_checked -= 1
        progress.end(problem=day in found.held or day in found.failed)


def _print(found: _Found) -> None:
    """Print days that would not be published, then warnings, errors per rule, and metrics."""
    name, total, good = found.dataset, found.total, found.days - len(found.held)
    rest = f", {found.not_checked:,} not checked" if found.not_checked else ""
    click.echo(
        f"{name}: {good:,} day{'s' * (good != 1)} would be published, {len(found.held):,} "
        f"held, {len(found.failed):,} failed{rest}; {total.rows_read:,} rows read, "
        f"{total.rows_exported:,} valid, {total.rows_rejected:,} rejected, "
        f"{total.rows_filtered.total():,} filtered, {found.size_bytes / 1e6:,.1f} MB"
    )
    for what, problems in (("held", found.held), ("failed", found.failed)):
        for day, why in [*problems.items()][:_MOST_DAYS]:
            click.echo(f"  {day} {what}: {why}")
        if (more := len(problems) - _MOST_DAYS) > 0:
            click.echo(f"  and {more:,} more days {what}")
    for check_name, days in found.warned.items():
        day, reason = next(iter(days.items()))
        others = f" (and {len(days) - 1:,} more days)" if len(days) > 1 else ""
        # This check warns about the table, and so on every day.
        where = "" if check_name == OUTSIDE else f", {day}{others}"
        click.echo(f"  warning {check_name}{where}: {reason}")
    if not found.days:
        return
    if failures := Counter({key: n for key, n in total.failures.items() if n}):
        click.echo("  errors")
        for (rule, column), count in failures.most_common():
            where = f" ({column})" if column else ""
            click.echo(f"    {count:>12,}  {rule}{where}")
    click.echo("  quality metrics")
    for metric, value in total.quality_metrics().items():
        click.echo(f"    {value:>12,}  {metric}")
