"""`exporter export`: the command; `orchestration.exports.command_run` runs the exports in Dagster.

Nothing that imports Arrow or Dagster is imported here at the top: the first line is printed before.
"""

from __future__ import annotations

from pathlib import Path

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.exit_codes import INTERRUPTED, PUBLISHED, exit_code_of
from exporter_pipelines.cli.export_arguments import ONLY, Request, parse_only, parse_request
from exporter_pipelines.cli.service_options import service_address, service_options
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.process_memory import freeze_gc, pause_gc

_LONG_DAYS = 400
"""Above so many days of a dataset, the command says that it need not read days without rows."""


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="DATASET... FIRST [LAST]")
@click.option(
    "--only",
    metavar="|".join(ONLY),
    callback=parse_only,
    help="Export only these days of the range. Several states are separated by commas.",
)
@click.option(
    "--days-with-rows", is_flag=True, help="Leave out days without rows. Counts them in one query."
)
@click.option(
    "--check-only",
    is_flag=True,
    help="Validate the rows and print errors and quality metrics. Publish nothing.",
)
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Replace published exports even if the source has lost rows of their days.",
)
@service_options
def export(
    arguments: tuple[str, ...],
    only: set[str],
    server: str | None,
    token_file: Path | None,
    **flags: bool,
) -> None:
    """Export days of datasets and presets: one day, or all days from FIRST to LAST.

    Days are YYYY-MM-DD. A range can also be written FIRST...LAST. The runs appear in the Dagster
    UI, with their checks. A range of more than EXPORTER_MAX_DAYS days is split into several runs.

    \b
    --only missing  days that are not published
           held     days that a check held since they were last published
           failed   days whose newest run failed, as the Dagster UI shows them

    With --server, a service exports the days, and this command follows it (docs/api.md).

    \b
    Exit codes:
      0    every day was published (with --check-only: every day would be)
      1    a day was held or failed
      2    the command was used incorrectly, or a setting or definition is wrong
      3    the database, the output folder, Dagster's history or the service cannot be reached
      130  interrupted; finished days stay published
    """  # noqa: D301 - click wants the character itself
    try:
        dotenv_file.load_dotenv()
        server = service_address(server)
        request = parse_request(arguments, only, **flags, server=server)
        raise SystemExit(_export_there(request, token_file) if server else _export(request))
    except ExporterError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(exit_code_of(error)) from None
    except KeyboardInterrupt:
        click.echo("\nInterrupted. Nothing was exported.", err=True)
        raise SystemExit(INTERRUPTED) from None


def _export_there(request: Request, token_file: Path | None) -> int:
    from exporter_pipelines.cli.export_remote import run  # imports httpx

    return run(request, token_file)


def _export(request: Request) -> int:
    click.echo(request.first_line(), err=True)
    pause_gc()
    from exporter_pipelines.cli.export_days import days_of  # imports Arrow

    freeze_gc()
    days = days_of(request)
    all_with_rows = request.days_with_rows and not request.only
    for name in [name for name, wanted in days.items() if all_with_rows and not wanted]:
        click.echo(
            f"{name}: no row belongs to one of these days. `exporter doctor --dataset {name}` "
            "shows where its rows are, and those without a usable time.",
            err=True,
        )
    if not any(days.values()):
        click.echo(f"{request.span}: no day to export{request.restriction()}.")
        return PUBLISHED
    if max(map(len, days.values())) > _LONG_DAYS and not request.days_with_rows:
        click.echo(
            f"{sum(map(len, days.values())):,} days will be read, also those without rows. "
            "--days-with-rows leaves out days without rows.",
            err=True,
        )
    if request.check_only:
        from exporter_pipelines.cli.export_check import check

        return check(request, days)
    from exporter_pipelines.cli.export_runs import run  # imports Dagster

    return run(request, days)
