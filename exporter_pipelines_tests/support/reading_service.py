"""The service without its guard and without a code location: what it reads, but no runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from fastapi import FastAPI

from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.stores import LocalStore

SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}


@contextmanager
def reading_service(folder: Path, source_url: str) -> Iterator[FastAPI]:
    """The application, with its output in `folder / "exports"` and an empty history."""
    output = folder / "exports"
    workspace_file = folder / "workspace.yaml"
    workspace_file.write_text("load_from: []\n")
    more = {"EXPORTER_SOURCE_URL": source_url, "EXPORTER_OUTPUT_URL": str(output)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in {**SETTINGS, **more, "DAGSTER_HOME": str(folder)}.items():
            patch.setenv(name, value)
        with (
            dg.DagsterInstance.local_temp(str(folder)) as instance,
            open_workspace(instance, workspace_file) as workspace,
        ):
            yield create_api(ServiceContext(workspace, LocalStore(output)))
