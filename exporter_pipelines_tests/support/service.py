"""The service in this process: a Dagster instance of its own, a code server, and no daemon.

Runs stay in the queue, as on a busy instance, until a test has them executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from exporter_pipelines.orchestration.dagster_internals.web_server import (
    UserWebserver,
    open_workspace,
)
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.dagster_ui import dagster_ui
from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.history import History
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.code_servers import wait_for_code_servers
from exporter_pipelines_tests.support.dagster_history import quick_instance
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.waiting import wait_until

OPERATOR = Principal("olga", frozenset({"operator"}), "bearer")
EXPORTER = Principal("emil", frozenset({"exporter"}), "bearer")


@dataclass(frozen=True)
class Service:
    """A service without HTTP around it."""

    context: ServiceContext
    ui: UserWebserver
    exports: Exports
    history: History

    @property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance."""
        return self.context.instance

    def queued(self) -> list[dg.DagsterRun]:
        """The runs in the queue, oldest first."""
        waiting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
        records = self.instance.get_run_records(waiting, ascending=True)
        return [record.dagster_run for record in records]

    def launch(self) -> list[str]:
        """Have all runs of the queue executed, as the daemon does, and return their ids."""
        runs = [run.run_id for run in self.queued()]
        for run_id in runs:
            self.instance.launch_run(run_id, self.context.workspace.create_request_context())
        return runs

    def work_off(self) -> None:
        """Have all runs of the queue executed, and wait for their end."""
        for run_id in self.launch():
            self.wait(run_id)

    def wait(self, run_id: str) -> dg.DagsterRun:
        """A run that has ended."""

        def ended() -> dg.DagsterRun | None:
            run = self.instance.get_run_by_id(run_id)
            return run if run and run.is_finished else None

        found = wait_until(ended, "the run has ended")
        assert found
        return found

    def pid_of(self, run_id: str) -> int:
        """The process that executes a run."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        pids = [
            entry.dagster_event.engine_event_data.metadata["pid"].value
            for entry in events
            if entry.dagster_event and "pid" in entry.dagster_event.engine_event_data.metadata
        ]
        return int(pids[-1])


@contextmanager
def service(
    home: Path,
    settings: Mapping[str, str],
    storage: Mapping[str, object] | None = None,
    code_location: str = "code_location",
) -> Iterator[Service]:
    """A service over a new instance.

    Args:
        home: A new folder: DAGSTER_HOME and working directory.
        settings: The environment, with EXPORTER_OUTPUT_URL.
        storage: In place of that in dagster.yaml.
        code_location: Module of this package with the definitions.
    """
    home.mkdir(parents=True)
    config = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    config.update(quick_instance(home / "storage"))
    if storage:
        config["storage"] = storage
    config["local_artifact_storage"]["config"]["base_dir"] = str(home / "artifacts")
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    module = {
        "module_name": f"{__package__}.{code_location}", "location_name": "exporter_pipelines",
    }  # fmt: skip
    workspace_file = home / "workspace.yaml"
    workspace_file.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}))
    with (
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        patch.chdir(home)
        patch.setenv("DAGSTER_HOME", str(home))
        # The code server imports `code_location`.
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PYTHONWARNINGS", "ignore")
        for name, value in settings.items():
            patch.setenv(name, value)
        with open_workspace(instance, workspace_file) as workspace:
            store = LocalStore(Path(settings["EXPORTER_OUTPUT_URL"]))
            context = ServiceContext(workspace, store, ServeOptions())
            ui = dagster_ui(context)
            exports = Exports(context, ui)
            yield Service(context, ui, exports, History(context, exports.reader))
        wait_for_code_servers(home)
