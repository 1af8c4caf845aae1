"""The service without its guard and without a code location: what it reads, but no runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from fastapi import FastAPI

from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.stores.opening import open_store

SETTINGS = {
    "EXPORTER_START_DATE": "2026-11-01",
    "EXPORTER_END_DATE": "2026-11-15",
    "EXPORTER_TIMEZONE": "UTC",
}


@contextmanager
def reading_service(
    folder: Path, source_url: str, output: Mapping[str, str] | None = None
) -> Iterator[FastAPI]:
    """The application with an empty history.

    Args:
        folder: Empty.
        source_url: Of the backend.
        output: Settings of another output than `folder / "exports"`.
    """
    workspace_file = folder / "workspace.yaml"
    workspace_file.write_text("load_from: []\n")
    values = {
        **SETTINGS,
        "EXPORTER_SOURCE_URL": source_url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
        "DAGSTER_HOME": str(folder),
        **(output or {}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in values.items():
            patch.setenv(name, value)
        with (
            dg.DagsterInstance.local_temp(str(folder)) as instance,
            open_workspace(instance, workspace_file) as workspace,
        ):
            yield create_api(ServiceContext(workspace, open_store()))
