"""`exporter report`: the export report, without the daemon and without a run."""

from __future__ import annotations

import datetime as dt

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.service_options import errors_as_exit_codes


@click.command()
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="[DAY]", required=False)
def report(day: dt.datetime | None) -> None:
    """Write the export report and print its path: numbers, charts and history of all exports.

    It has the newest 400 published days up to DAY. Without DAY, it ends with the newest day that
    can be exported. The newest report is written in any case. See docs/report.md.

    \b
    Exit codes:
      0  success
      1  the report cannot be written
      2  the command was used incorrectly, a setting is wrong, or an extra is not installed
      3  the output folder or Dagster's history cannot be reached
    """  # noqa: D301 - click wants the character itself
    with errors_as_exit_codes():
        dotenv_file.load_dotenv()
        # Imported here, because Dagster takes a second to load.
        from exporter_pipelines.cli.written_report import written_report

        click.echo(written_report(day.date().isoformat() if day else None))
