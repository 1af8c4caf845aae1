"""`exporter history`: the exports, newest first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.service_options import (
    errors_as_exit_codes,
    opened_client,
    service_address,
    service_options,
)

_DAY = click.DateTime(["%Y-%m-%d"])
_STATES = ("pending", "running", "completed", "held", "failed", "cancelled")
_SOURCES = ("rest", "page", "ui", "schedule", "sensor", "cli")


def _only_one(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> str | None:
    """The value of an option; click would take the last of several without a word."""
    if len(values) > 1:
        raise click.BadParameter(f"Name one, not {len(values)}. Run the command once for each.")
    return values[0] if values else None


def _filter(name: str, says: str, type: click.Choice[str] | None = None) -> Callable[[Any], Any]:  # noqa: A002 - the name in click
    return click.option(name, type=type, multiple=True, callback=_only_one, help=says)


@click.command()
@_filter("--dataset", "Only exports of this dataset or preset.")
@_filter("--status", "Only exports in this state.", click.Choice(_STATES))
@_filter("--user", "Only exports that this user or token started.")
@_filter("--source", "Only exports that were started there.", click.Choice(_SOURCES))
@click.option("--from", "first", type=_DAY, help="Only exports started on this day or later.")
@click.option("--to", "last", type=_DAY, help="Only exports started on this day or earlier.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="The largest number of exports to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one export per line.")
@service_options
def history(
    first: dt.datetime | None,
    last: dt.datetime | None,
    limit: int,
    as_json: bool,
    server: str | None,
    token_file: Path | None,
    **only: Any,
) -> None:
    """List the exports, newest first: of commands, schedules, the Dagster UI and the REST API.

    Without a service (--server or EXPORTER_API_URL), Dagster's history on this machine is read.

    \b
    Exit codes:
      0  success, also if there is no export
      2  the command was used incorrectly, the token may not see it, or a setting is wrong
      3  the service or Dagster's history cannot be reached
    """  # noqa: D301 - click wants the character itself
    only |= {"first": first and first.date(), "last": last and last.date()}
    with errors_as_exit_codes():
        dotenv_file.load_dotenv()
        url = service_address(server)
        if url is None:
            from exporter_pipelines.cli.local_exports import list_history

            list_history(limit, as_json=as_json, **only)
            return
        from exporter_pipelines.cli.export_lines import print_history

        with opened_client(url, token_file) as client:
            found = client.history(page_size=min(limit, 200), **only)
            print_history(islice(found, limit), as_json=as_json)
