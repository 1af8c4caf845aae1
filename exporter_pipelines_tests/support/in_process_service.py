"""The service without its guard and without a network, over a small project with real exports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.principals import Role
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.api_clients import client_of
from exporter_pipelines_tests.support.code_servers import wait_for_code_servers
from exporter_pipelines_tests.support.dagster_history import quick_instance
from exporter_pipelines_tests.support.definitions import use_definitions
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
        """A client, see `api_clients.client_of`."""
        return client_of(self.api, *roles, name=name, **options)


@contextmanager
def in_process_service(
    folder: Path,
    source_url: str,
    *,
    code_location: bool = True,
    queue: bool = False,
    more_definitions: Mapping[str, str] | None = None,
) -> Iterator[InProcessService]:
    """A service over a copy of the project in `folder`.

    Args:
        folder: Empty.
        source_url: Of the backend.
        code_location: Whether Dagster can start runs; this costs another process and 5 seconds.
        queue: Whether runs wait in the queue of dagster.yaml, where they stay without a daemon.
        more_definitions: Folder -> text of its defs.yaml, beside the tests' own.
    """
    values = {
        **SETTINGS,
        "EXPORTER_SOURCE_URL": source_url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
    }
    project = copy_project(folder / "project", values)
    defs, workspace_file = project.path / "exporter_pipelines/defs", project.path / "workspace.yaml"
    for name, text in (more_definitions or {}).items():
        (defs / name).mkdir()
        (defs / name / "defs.yaml").write_text(text)
    if not code_location:
        workspace_file.write_text("load_from: []\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        use_definitions(defs, patch)
        for name in os.environ:
            if name.startswith(("EXPORTER_", "DAGSTER_")) and name != "EXPORTER_POSTGRES_DRIVER":
                patch.delenv(name)
        for name, value in {**values, "DAGSTER_HOME": str(project.path)}.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(project.path))
        patch.setenv("PYTHONWARNINGS", "ignore")
        with (
            dg.DagsterInstance.local_temp(
                str(project.path),
                overrides={**quick_instance(project.path), **(_QUEUE if queue else _NO_QUEUE)},
            ) as instance,
            open_workspace(instance, workspace_file) as workspace,
        ):
            # For the audit file; `exporter serve` creates it as well.
            (project.path / ".dagster").mkdir(exist_ok=True)
            context = ServiceContext(workspace, LocalStore(folder / "exports"), ServeOptions())
            yield InProcessService(context, create_api(context))
        wait_for_code_servers(project.path)
