"""Runs the service with uvicorn until a signal."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import uvicorn

from exporter_pipelines import settings
from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.service.app import create_app
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.stores import LocalStore


def serve(workspace_file: Path, options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM; blocks."""
    with (
        dg.DagsterInstance.get() as instance,
        open_workspace(instance, workspace_file) as workspace,
    ):
        context = ServiceContext(workspace, LocalStore(settings.output_root()), options)
        config = uvicorn.Config(
            create_app(context),
            host=options.host,
            port=options.port,
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
        uvicorn.Server(config).run()
