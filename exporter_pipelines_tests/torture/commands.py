"""`dagster asset materialize` in a copy of the project whose runs are killed at a chosen point."""

from __future__ import annotations

import subprocess
from pathlib import Path

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import BIN, Project, copy_project

_DEATH = '''

def _die() -> None:
    """Ends this process as a power cut of its container would, if TORTURE_DEATH says so."""
    import os, signal, threading
    moment = os.environ.get("TORTURE_DEATH")
    if not moment:
        return
    publish = ExportIOManager.publish

    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def published(self, staged):
        if moment != "published":
            threading.Timer(float(moment), kill).start()
        manifest = publish(self, staged)
        if moment == "published":
            kill()
        return manifest

    ExportIOManager.publish = published


_die()
'''


def mortal_project(path: Path, backend: Backend, first: str, end: str) -> Project:
    """A project on `backend` with the days from `first` up to but without `end`.

    A run dies when it publishes: after `TORTURE_DEATH` seconds, or, where it says `published`,
    between the switch and Dagster's event.
    """
    project = copy_project(
        path,
        {
            "EXPORTER_SOURCE_URL": backend.url,
            "EXPORTER_OUTPUT_URL": str(path.parent / f"{path.name}-exports"),
            "EXPORTER_START_DATE": first,
            "EXPORTER_END_DATE": end,
            "EXPORTER_TIMEZONE": "UTC",
        },
    )
    with (project.path / "exporter_pipelines/orchestration/exports/io_manager.py").open(
        "a"
    ) as module:
        module.write(_DEATH)
    # Once, by one process: many first starts at the same time corrupt an empty instance.
    if (done := project.dagster("instance", "migrate")).code:
        raise RuntimeError(done.stderr)
    return project


def start(project: Project, death: str, **options: str) -> subprocess.Popen[str]:
    """Begin to materialize the logs of `partition=` or `partition_range=`; ends by `death`."""
    days = [part for k, v in options.items() for part in (f"--{k.replace('_', '-')}", v)]
    module = ["-m", "exporter_pipelines.definitions"]
    return subprocess.Popen(
        [BIN / "dagster", "asset", "materialize", *module, "--select", "logs", *days],
        cwd=project.path,
        env={**project.environment, "TORTURE_DEATH": death},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
