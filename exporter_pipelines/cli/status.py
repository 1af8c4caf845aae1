"""`exporter status`: an export, its progress and the result of each day."""

from __future__ import annotations

from pathlib import Path

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.service_options import (
    errors_as_exit_codes,
    opened_client,
    service_address,
    service_options,
)


@click.command()
@click.argument("export_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Show the progress until the export has ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the REST API sends it.")
@service_options
def status(
    export_id: str, wait: bool, as_json: bool, server: str | None, token_file: Path | None
) -> None:
    """Show an export: its progress, the result of each day, and why days are not published.

    ID is the id of the export, or that of a run or backfill in the Dagster UI. Without a service
    (--server or EXPORTER_API_URL), Dagster's history on this machine is read.

    \b
    Exit codes:
      0  every day was published, or the export has not ended
      1  a day was held or failed, or the export was cancelled
      2  there is no such export, the token may not see it, or a setting is wrong
      3  the service or Dagster's history cannot be reached, or the export could not reach a system
    """  # noqa: D301 - click wants the character itself
    with errors_as_exit_codes():
        dotenv_file.load_dotenv()
        url = service_address(server)
        if url is None:
            from exporter_pipelines.cli.local_exports import show_status

            raise SystemExit(show_status(export_id, wait=wait, as_json=as_json))
        from exporter_pipelines.cli.export_lines import print_export
        from exporter_pipelines.cli.export_remote import follow
        from exporter_pipelines.cli.export_results import exit_code

        with opened_client(url, token_file) as client:
            export = client.get(export_id)
            assert export.last
            found = follow(export) if wait else export.last
        print_export(found, as_json=as_json)
        raise SystemExit(exit_code(found))
