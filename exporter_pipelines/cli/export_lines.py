"""How `exporter status` and `exporter history` print exports."""

from __future__ import annotations

from collections.abc import Iterable

import click

from exporter_pipelines.cli.export_results import ENDED, count, print_results
from exporter_pipelines.contracts.progress import duration
from exporter_pipelines.errors import printable, printable_lines
from exporter_pipelines.service.models import Export, ExportSummary

_MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def print_export(export: Export, *, as_json: bool) -> None:
    """Print an export with the result of each day."""
    if as_json:
        click.echo(export.model_dump_json(indent=2))
        return
    head = f"Export {export.id}: {export.status}, {int(export.progress_pct)} %"
    title = f", {export.title}" if export.title else ""
    click.echo(printable(f"{head}{title}"))
    click.echo(printable(f"{_span(export)}, {_started(export)}"))
    if export.output:
        click.echo(printable(f"to another output than the present one: {export.output}"))
    print_results(export)
    days = sum(export.days.values())
    click.echo(f"{count(export, 'published'):,} of {days:,} days published{_took(export)}.")
    if export.why_waiting:
        click.echo(printable(export.why_waiting))


def print_history(exports: Iterable[ExportSummary], *, as_json: bool) -> None:
    """Print a line per export, and others with another output and with the reason, if any."""
    is_empty = True
    for export in exports:
        if as_json:
            click.echo(export.model_dump_json())
        else:
            _print_line(export, with_head=is_empty)
        is_empty = False
    if is_empty and not as_json:
        click.echo("There is no such export.")


def _print_line(export: ExportSummary, *, with_head: bool) -> None:
    if with_head:
        click.echo(_row("id", "created (UTC)", "status", "days", "rows", "who", "what"))
    days = f"{count(export, 'published')}/{sum(export.days.values())}"
    who = f"{export.user or '-'} ({export.source})"
    moment = f"{export.created_at:%Y-%m-%d %H:%M}"
    line = _row(export.id, moment, export.status, days, f"{export.rows_exported:,}", who,
                _span(export))  # fmt: skip
    click.echo(printable(line))
    if export.output:
        click.echo(printable(f"  to another output: {export.output}"))
    if export.problem:
        click.echo(f"  {printable_lines(export.problem)}")


def _row(id: str, moment: str, status: str, days: str, rows: str, who: str, what: str) -> str:  # noqa: A002 - the field's name
    return f"{id:<36}  {moment:<16}  {status:<9}  {days:>7}  {rows:>11}  {who:<18}  {what}"


def _span(export: ExportSummary) -> str:
    to = f" to {export.end_date}" if export.end_date != export.start_date else ""
    return f"{', '.join(export.datasets)}, {export.start_date}{to}"


def _started(export: ExportSummary) -> str:
    by = f" by {export.user}" if export.user else ""
    return f"started {export.created_at:{_MOMENT}}{by} ({export.source})"


def _took(export: ExportSummary) -> str:
    if export.status not in ENDED or not (export.started_at and export.ended_at):
        return ""
    return f" in {duration((export.ended_at - export.started_at).total_seconds())}"
