"""The service without its guard and without a network, over a small project with real exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.principals import Principal, Role, set_principal
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.projects import copy_project

SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}
# Runs begin at once: the queue of dagster.yaml waits for the daemon.
_NO_QUEUE = {
    "run_coordinator": {
        "module": "dagster.core.run_coordinator",
        "class": "DefaultRunCoordinator",
    }
}
_QUEUE = {
    "run_coordinator": {
        "module": "exporter_pipelines.orchestration.run_queue",
        "class": "PoolAwareRunCoordinator",
    }
}
_USER = b"x-test-user"


@dataclass(frozen=True)
class InProcessService:
    """A service in this process.

    Attributes:
        context: What its parts share.
        api: Its application, without the guard.
    """

    context: ServiceContext
    api: FastAPI

    @property
    def store(self) -> LocalStore:
        """Its output folder."""
        return self.context.store

    def client(self, *roles: Role, name: str = "alice", **options: Any) -> TestClient:
        """A client whose requests the guard would pass on as those of `name`; see `users`."""
        headers = {_USER.decode(): ":".join((name, *roles))} if roles else {}
        return TestClient(
            users(self.api), "http://testserver", headers=headers, follow_redirects=False, **options
        )

    def asynchronous(self, *roles: Role, name: str = "alice") -> httpx.AsyncClient:
        """The same for many requests at a time."""
        transport = httpx.ASGITransport(users(self.api))
        headers = {_USER.decode(): ":".join((name, *roles))}
        return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


def users(app: ASGIApp) -> ASGIApp:
    """Takes the user of a request and its roles from a header, in place of the guard."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            text = dict(scope["headers"]).get(_USER, b"").decode()
            name, *roles = text.split(":")
            who = Principal(name, frozenset(roles), "bearer") if text else None  # type: ignore[arg-type]
            set_principal(scope, who)
        await app(scope, receive, send)

    return application


@contextmanager
def in_process_service(
    folder: Path, source_url: str, *, code_location: bool = True, queue: bool = False
) -> Iterator[InProcessService]:
    """A service over a copy of the project in `folder`.

    Args:
        folder: Empty.
        source_url: Of the backend.
        code_location: Whether Dagster can start runs; this costs another process and 5 seconds.
        queue: Whether runs wait in the queue of dagster.yaml, where they stay without a daemon.
    """
    values = {
        **SETTINGS,
        "EXPORTER_SOURCE_URL": source_url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
    }
    project = copy_project(folder / "project", values)
    workspace_file = project.path / "workspace.yaml"
    if not code_location:
        workspace_file.write_text("load_from: []\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        for name in os.environ:
            if name.startswith(("EXPORTER_", "DAGSTER_")) and name != "EXPORTER_POSTGRES_DRIVER":
                patch.delenv(name)
        for name, value in {**values, "DAGSTER_HOME": str(project.path)}.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(project.path))
        with (
            dg.DagsterInstance.local_temp(
                str(project.path), overrides=_QUEUE if queue else _NO_QUEUE
            ) as instance,
            open_workspace(instance, workspace_file) as workspace,
        ):
            context = ServiceContext(workspace, LocalStore(folder / "exports"), ServeOptions())
            yield InProcessService(context, create_api(context))
