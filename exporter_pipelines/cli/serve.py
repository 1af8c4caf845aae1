"""`exporter serve`: the Dagster UI, the REST API and the exports page on one port."""

from __future__ import annotations

from pathlib import Path

import click

from exporter_pipelines import settings
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.service.context import ServeOptions
from exporter_pipelines.service.server import serve as run_server


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option(
    "--workspace", type=click.Path(path_type=Path, dir_okay=False), default="workspace.yaml"
)
def serve(host: str, port: int, workspace: Path) -> None:
    """Serve the Dagster UI, the REST API and the exports page until Ctrl-C."""
    settings.load_dotenv()
    try:
        run_server(workspace, ServeOptions(host, port))
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
