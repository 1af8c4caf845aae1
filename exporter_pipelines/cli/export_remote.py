"""`exporter export --server`: the service exports the days, this command follows it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from exporter_pipelines.cli.exit_codes import INTERRUPTED, PUBLISHED
from exporter_pipelines.cli.export_arguments import ONLY, Request
from exporter_pipelines.cli.export_progress import Display
from exporter_pipelines.cli.export_results import (
    count,
    exit_code,
    look_at,
    print_results,
    states_to_repeat,
)
from exporter_pipelines.cli.service_options import errors_as_exit_codes, opened_client
from exporter_pipelines.client import RemoteExport, ServiceUnreachableError, StateConflictError
from exporter_pipelines.contracts.progress import duration
from exporter_pipelines.errors import printable, printable_lines
from exporter_pipelines.service.models import Export

_CANCEL_S = 30.0


def run(request: Request, token_file: Path | None) -> int:
    """Start the export, follow it, print the summary, and return the exit code."""
    _refuse_what_needs_the_database(request)
    click.echo(request.first_line(), err=True)
    assert request.server
    with errors_as_exit_codes(), opened_client(request.server, token_file) as client:
        only = [state for state in ONLY if state in request.only]
        try:
            started = client.export(request.datasets, request.first, request.last, only=only)
        except StateConflictError as none_left:
            if not only:
                raise
            click.echo(printable_lines(none_left.problem.detail))
            return PUBLISHED
        except KeyboardInterrupt:
            click.echo("\nInterrupted. `exporter history` shows whether it has begun.", err=True)
            return INTERRUPTED
        return _follow(request, started)


def _refuse_what_needs_the_database(request: Request) -> None:
    for option, is_set in (
        ("--check-only", request.check_only),
        ("--days-with-rows", request.days_with_rows),
        ("--accept-loss", request.accept_loss),
    ):
        if is_set:
            raise click.UsageError(
                f"{option} needs the database and does not work through a service. Run the command "
                "on the machine of the service, without --server and EXPORTER_API_URL."
            )


def _follow(request: Request, export: RemoteExport) -> int:
    began, interrupted = time.monotonic(), False
    click.echo(printable(f"Export {export.id}"), err=True)
    try:
        ended = follow(export)
    except KeyboardInterrupt:
        interrupted = True
        ended = _cancel(export)
    except ServiceUnreachableError:
        click.echo(printable(f"The export goes on: exporter status {export.id}"), err=True)
        raise
    print_results(ended, request.datasets)
    if only := states_to_repeat(ended):
        click.echo(f"To export these days again: {request.again(only)}")
    stopped = "Interrupted: " if interrupted else ""
    days = sum(ended.days.values())
    seconds = duration(time.monotonic() - began)
    click.echo(f"{stopped}{count(ended, 'published'):,} of {days:,} days published in {seconds}.")
    return INTERRUPTED if interrupted else exit_code(ended)


def follow(export: RemoteExport) -> Export:
    """Show the progress of an export until it has ended."""
    first = export.last or export.status()
    with Display(lambda: look_at(export.last or first)):
        return export.wait(lambda _now: None)


def _cancel(export: RemoteExport) -> Export:
    """As Ctrl-C ends an export of this process: the service stops it, finished days stay."""
    click.echo("\nCancelling the export; finished days stay published.", err=True)
    try:
        export.cancel()
        return export.wait(timeout_s=_CANCEL_S)
    except StateConflictError:  # it has ended meanwhile
        return export.status()
    except (TimeoutError, KeyboardInterrupt):  # the service goes on to cancel it
        assert export.last
        return export.last
