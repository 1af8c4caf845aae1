"""A backfill as the UI starts it: a real web server, a real daemon, GraphQL, and its alerts."""

from __future__ import annotations

from typing import Any

import pytest

from exporter_pipelines_tests.support.alert_receivers import Inbox, inbox
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    create_history,
    history_of,
    materializations,
)
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import (
    WORKSPACE,
    WebServer,
    code_server,
    daemon,
    web_server,
)
from exporter_pipelines_tests.support.waiting import wait_until

DATASETS = ["anomalies", "ips", "logs"]
DAYS = [f"2026-11-{day:02}" for day in range(1, 7)]
POISONED = "2026-11-04"
ALERTS = "exporter_pipelines/alerts/run_alerts_sensor"
GOOD = [day for day in DAYS if day != POISONED]

_ASSET_STATUS = """
query Asset($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      partitionStats { numMaterialized numFailed numPartitions }
      assetPartitionStatuses {
        ... on TimePartitionStatuses { ranges { startKey endKey status } }
      }
    }
  }
}"""
_CHECK_STATUS = """
query Checks($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            partitionStatuses {
              ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } }
            }
          }
        }
      }
    }
  }
}"""


@pytest.fixture
def poisoned(project: Project, backend: Backend) -> Project:
    """Six days of logs, one of them broken; no anomalies; ips without their table."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 50, first_id=1000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [POISONED])
    backend.run("ALTER TABLE ip_addresses RENAME TO elsewhere")
    project.hurry_sensors()
    # Once, by one process: a first start of several at once corrupts an empty SQLite instance.
    create_history(project)
    return project


def asset_status(server: WebServer, asset: str) -> tuple[Any, dict[str, str]]:
    node = server.ask(_ASSET_STATUS, key={"path": [asset]})["assetNodeOrError"]
    return node["partitionStats"], by_day(node["assetPartitionStatuses"]["ranges"])


def check_status(server: WebServer, asset: str, check: str) -> dict[str, str]:
    node = server.ask(_CHECK_STATUS, key={"path": [asset]})["assetNodeOrError"]
    checks = {c["name"]: c for c in node["assetChecksOrError"]["checks"]}
    return by_day(checks[check]["partitionStatuses"]["ranges"])


def by_day(ranges: list[dict[str, str]]) -> dict[str, str]:
    return {
        day: found["status"]
        for found in ranges
        for day in DAYS
        if found["startKey"] <= day <= found["endKey"]
    }


def wait_for_alerts(receiver: Inbox, count: int) -> list[str]:
    """The titles of all that came, once it is so much."""
    return wait_until(
        lambda: sorted(receiver.titles),
        f"{count} alerts have come",
        until=lambda titles: len(titles) >= count,
    )


def wait_for_first_tick(project: Project) -> None:
    """Runs that ended before the first tick of the alerts are not reported."""
    with history_of(project) as instance:
        cursors = instance.daemon_cursor_storage
        wait_until(lambda: cursors.get_cursor_values({ALERTS}), "the alerts have ticked")


@pytest.mark.slow
def test_a_backfill_holds_the_bad_day_only_and_failed_days_can_be_run_again(
    poisoned: Project, backend: Backend
) -> None:
    wrong = f"logs {POISONED}: held; ips {len(DAYS)} days: run failed"
    resolved = {f"ips {len(DAYS)} days", f"logs {POISONED}"}
    with inbox() as receiver:
        poisoned.set(EXPORTER_ALERT_URLS=receiver.url, EXPORTER_ALERT_MIN_FREE_GIB="0")
        with (
            code_server(poisoned),
            web_server(poisoned, *WORKSPACE) as server,
            daemon(poisoned, *WORKSPACE, seconds=2),
        ):
            wait_for_first_tick(poisoned)
            first = server.launch_backfill(DATASETS, DAYS)
            ended = server.finished_backfill(first)
            assert wait_for_alerts(receiver, 1) == [wrong]
            assert ended["status"] == "COMPLETED_FAILED"
            assert ended["numPartitions"] == len(DAYS)
            assert [run["status"] for run in ended["runs"]] == ["FAILURE"]

            stats, days = asset_status(server, "logs")
            assert stats == {"numMaterialized": 5, "numFailed": 1, "numPartitions": 14}
            assert days == {**dict.fromkeys(GOOD, "MATERIALIZED"), POISONED: "FAILED"}
            assert asset_status(server, "anomalies")[0]["numMaterialized"] == len(DAYS)
            assert asset_status(server, "ips")[0]["numFailed"] == len(DAYS)
            assert check_status(server, "logs", "rejected_rows") == {
                **dict.fromkeys(GOOD, "SUCCEEDED"),
                POISONED: "FAILED",
            }
            assert [day for day in DAYS if poisoned.manifest("logs", day)] == GOOD

            backend.run("UPDATE logs SET level = 'INFO'")
            backend.run("ALTER TABLE elsewhere RENAME TO ip_addresses")
            second = server.rerun_failed(first)
            assert server.finished_backfill(second)["status"] == "COMPLETED_SUCCESS"
            [title] = [each for each in wait_for_alerts(receiver, 2) if each != wrong]
            assert set(title.removesuffix(": resolved").split(", ")) == resolved
            for asset in DATASETS:
                assert asset_status(server, asset)[0]["numMaterialized"] == len(DAYS)
            assert check_status(server, "logs", "rejected_rows")[POISONED] == "SUCCEEDED"
    with history_of(poisoned) as instance:
        for asset in DATASETS:
            assert {len(materializations(instance, asset, day)) for day in DAYS} == {1}
