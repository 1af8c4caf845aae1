"""What Dagster remembers of runs: asked of the instance, as the UI does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from exporter_pipelines_tests.support.projects import Project


def with_sqlite_history(dagster_yaml: str) -> str:
    """The shipped dagster.yaml with its commented option in place of Dagster's `sqlite`."""
    option = re.search(r"^  # custom:\n(?:  #   .*\n)+", dagster_yaml, re.MULTILINE)
    assert option, "dagster.yaml has no commented option"
    shipped = "  sqlite:\n    base_dir: .dagster/storage\n"
    assert shipped in dagster_yaml
    return dagster_yaml.replace(shipped, option[0].replace("  # ", "  "))


def quick_instance(home: Path) -> dict[str, Any]:
    """Settings of dagster.yaml for an instance with a third less work: those of `exporter export`.

    Dagster's compute logs are four processes for each step.
    """
    custom = {
        "module": "exporter_pipelines.orchestration.sqlite_history",
        "class": "SqliteHistory",
        "config": {"base_dir": str(home)},
    }
    compute_logs = {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    return {"storage": {"custom": custom}, "compute_logs": compute_logs}


@contextmanager
def history_of(project: Project) -> Iterator[dg.DagsterInstance]:
    """The instance that the commands of a project wrote to."""
    # dagster.yaml names folders that count from the working directory.
    with chdir(project.path), dg.DagsterInstance.from_config(str(project.path)) as instance:
        yield instance


def create_history(project: Project) -> None:
    """Make its files: if several processes start at once without them, they damage them."""
    with history_of(project):
        pass


def materializations(
    instance: dg.DagsterInstance, asset: str, day: str
) -> list[dg.AssetMaterialization]:
    """Of one day, newest first."""
    records = materialization_records(instance, asset, day)
    return [r.asset_materialization for r in records if r.asset_materialization]


def materialization_records(
    instance: dg.DagsterInstance, asset: str, day: str
) -> list[dg.EventLogRecord]:
    """The same with their place in the event log."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day])
    return list(instance.fetch_materializations(wanted, limit=100).records)


def materialized_by_runs(
    instance: dg.DagsterInstance, asset: str
) -> Iterator[tuple[str, str, str | None]]:
    """(day, run, data version) of all materializations by runs, newest first."""
    cursor = None
    while True:
        found = instance.fetch_materializations(dg.AssetKey(asset), limit=1000, cursor=cursor)
        for record in found.records:
            event = record.asset_materialization
            if record.run_id and event:
                version = (event.tags or {}).get("dagster/data_version")
                yield str(event.partition), record.run_id, version
        if not found.has_more:
            return
        cursor = found.cursor


def check_statuses(instance: dg.DagsterInstance, asset: str, check: str) -> dict[str | None, str]:
    """Day -> what the partition status bar of a check is drawn from; only current ones."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    found = instance.event_log_storage.get_asset_check_partition_info([key])
    return {i.partition_key: i.latest_execution_status.value for i in found if i.is_current}
