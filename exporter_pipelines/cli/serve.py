"""`exporter serve`: the Dagster UI, the REST API and the exports page on one port."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click

from exporter_pipelines import dotenv_file, service_settings
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.project_lock import listening, only_one, project_home
from exporter_pipelines.service.access import Access
from exporter_pipelines.service.addresses import address_of
from exporter_pipelines.supervised_processes import StoppedError


@click.command()
@click.option("--host", help="Interface to listen on. Default: EXPORTER_SERVE_HOST, or 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on. Default: EXPORTER_SERVE_PORT, or 3000.",
)
@click.option("--prefix", help="Prefix of every path. Default: EXPORTER_SERVE_PREFIX, or none.")
@click.option("--read-only", is_flag=True, help="Nobody may change anything.")
@click.option("--daemon", is_flag=True, help="Run the daemon and the code server as well.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path, dir_okay=False),
    default="workspace.yaml",
    show_default=True,
    help="Dagster's file with the code location.",
)
@click.option("--ready", type=click.Path(path_type=Path), hidden=True)
def serve(
    host: str | None,
    port: int | None,
    prefix: str | None,
    read_only: bool,
    daemon: bool,
    workspace: Path,
    ready: Path | None,
) -> None:
    """Serve the Dagster UI, the REST API and the exports page until Ctrl-C.

    Without a token it listens on the loopback interface only. See docs/service.md.
    """
    dotenv_file.load_dotenv()
    try:
        project_home()
        host = service_settings.serve_host(host)
        port = port or service_settings.serve_port()
        prefix = service_settings.checked_prefix(prefix)
        read_only = read_only or service_settings.read_only()
        access = Access.of(host=host, port=port, prefix=prefix, read_only=read_only)
        access.refuse_to_listen_openly(host)
        access.audit.refuse_unwritable()
        url = address_of(host, port, prefix)
        if daemon:
            # Imported here: only one of the two is needed, and the service takes a second.
            from exporter_pipelines.supervisor import supervise

            more = ["--prefix", prefix, *(["--read-only"] if read_only else [])]
            supervise(host, port, url, more)
            return
        # Who asks for `ready` holds the lock of the project, and says where the service is.
        with nullcontext() if ready else only_one(url), listening(host, port) as listener:
            from exporter_pipelines.service.context import ServeOptions
            from exporter_pipelines.service.server import serve as serve_here

            options = ServeOptions(host, port, prefix, read_only)
            up = partial(_say_up, url, ready)
            serve_here(workspace, options, access, listener, up)
    except (ExporterError, StoppedError) as error:
        raise click.ClickException(str(error)) from None


def _say_up(url: str, ready: Path | None, no_daemon: str | None) -> None:
    """The service answers."""
    if ready:  # the supervisor starts the daemon as well
        ready.touch()
        return
    click.echo(url)
    if no_daemon:
        click.echo(no_daemon, err=True)
