"""A project whose sensors are ticked, over a real instance and a real receiver."""

from __future__ import annotations

import atexit
import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from exporter_pipelines import settings
from exporter_pipelines.definitions import build
from exporter_pipelines.orchestration.exports.exit_messages import print_messages
from exporter_pipelines_tests.support.alert_receivers import Inbox
from exporter_pipelines_tests.support.dagster_history import quick_instance

TODAY = dt.date(2026, 11, 10)
"""Warnings about days before the 3rd are history: seven days is the late-data window."""
SENSORS = ("run_alerts_sensor", "condition_alerts_sensor")


@dataclass
class Alerting:
    """Runs jobs and ticks sensors.

    Attributes:
        repository: All definitions.
        instance: Keeps the history.
        inbox: Of the receiver.
    """

    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    inbox: Inbox

    def run(
        self,
        first: str,
        last: str = "",
        *,
        job: str = "logs_job",
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Export a day, or a range of days; `tags` are further tags of a range."""
        days: dict[str, Any] = {"partition_key": first}
        if last:
            ends = {"start": first, "end": last}
            of_range = {f"dagster/asset_partition_range_{k}": v for k, v in ends.items()}
            days = {"tags": {**of_range, **(tags or {})}}
        done = self.repository.get_job(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **days
        )
        atexit.unregister(print_messages)  # of no interest at the end of a test session
        return done

    def tick(self, *sensors: str) -> str:
        """Tick sensors as the daemon does, and return what they said."""
        said = []
        for name in sensors or SENSORS:
            context = dg.build_sensor_context(self.instance, repository_def=self.repository)
            tick = self.repository.get_sensor_def(name).evaluate_tick(context)
            assert not tick.run_requests
            said.append(tick.skip_message or "")
        return "\n".join(said)

    def received(self, ticks: int = 2) -> list[dict[str, str]]:
        """The messages that the receiver got during some ticks."""
        for _ in range(ticks):
            self.tick()
        return self.inbox.emptied()


@contextmanager
def alerting_project(
    receiver: Inbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Alerting]:
    """A project without history whose alerts have ticked once, as after `make dev`."""
    monkeypatch.setenv("EXPORTER_ALERT_URLS", receiver.url)
    monkeypatch.setattr(settings, "today", lambda: TODAY)
    monkeypatch.setenv("EXPORTER_UI_URL", "https://dagster.example.org/")
    monkeypatch.setenv("EXPORTER_ALERT_MIN_FREE_GIB", "0")
    home = folder / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides=quick_instance(home)) as instance:
        found = Alerting(build(for_ui=False).get_repository_def(), instance, receiver)
        assert found.received(1) == []
        yield found
