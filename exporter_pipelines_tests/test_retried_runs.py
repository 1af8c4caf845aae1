"""A run that Dagster retries exports only the days that the run before it did not publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses, materializations
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
FIRST, RETRY, SECOND_RETRY = (f"{digit}1111111-1111-4111-8111-111111111111" for digit in "abc")


@pytest.fixture
def interrupted(settings: dict[str, str], backend: Backend) -> Runner:
    """Run FIRST has published two of three days, the second with a warning."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 10, first_id=100 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 100")
    runner = Runner([dataset(max_rejected_pct=50)])
    assert runner.run("logs", *DAYS[:2], run_id=FIRST).success
    return runner


def retry(runner: Runner, run_id: str = RETRY, of: str = FIRST, *, by_dagster: bool = True) -> Any:
    """Repeat a run over all three days."""
    if by_dagster:
        runner.instance.add_run_tags(of, {"dagster/auto_retry_run_id": run_id})
    days = {"start": DAYS[0], "end": DAYS[2]}
    tags = {f"dagster/asset_partition_range_{k}": v for k, v in days.items()}
    return runner.run("logs", "", run_id=run_id, tags={**tags, "dagster/parent_run_id": of})


def published(root: str) -> list[Manifest]:
    """The manifests of the days."""
    folder = Path(root) / "logs" / "data"
    return [
        Manifest.from_json((folder / f"date={day}" / MANIFEST_NAME).read_bytes()) for day in DAYS
    ]


def publishers(root: str) -> list[str]:
    """The run that published each day."""
    return [manifest.run.run_id for manifest in published(root)]


def recorded_by(instance: dg.DagsterInstance, day: str) -> list[str]:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("logs"), asset_partitions=[day])
    return [r.run_id for r in instance.fetch_materializations(wanted, limit=9).records]


def log_of(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(run_id)]


def test_a_retried_run_exports_the_other_days_and_records_all(
    interrupted: Runner, settings: dict[str, str]
) -> None:
    root, instance = settings["EXPORTER_OUTPUT_URL"], interrupted.instance
    assert retry(interrupted).success
    assert publishers(root) == [FIRST, FIRST, RETRY]
    assert [recorded_by(instance, day) for day in DAYS] == [[RETRY, FIRST], [RETRY, FIRST], [RETRY]]
    for day, manifest in zip(DAYS, published(root), strict=True):
        newest = materializations(instance, "logs", day)[0]
        assert (newest.tags or {})["dagster/data_version"] == manifest.data_version
    lost, rejected = (
        [check_statuses(instance, "logs", check)[day] for day in DAYS]
        for check in ("no_lost_rows", "rejected_rows")
    )
    assert lost == ["SUCCEEDED"] * 3
    assert rejected == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert [line for line in log_of(instance, RETRY) if "not exported again" in line] == [
        f"logs {day}: not exported again. Run {FIRST}, which this run retries, has published it, "
        "and the source has not changed."
        for day in DAYS[:2]
    ]


def test_the_second_retry_knows_the_days_of_the_first_run(
    interrupted: Runner, settings: dict[str, str]
) -> None:
    assert retry(interrupted).success
    assert retry(interrupted, SECOND_RETRY, of=RETRY).success
    assert publishers(settings["EXPORTER_OUTPUT_URL"]) == [FIRST, FIRST, RETRY]


def test_a_day_that_changed_in_the_source_is_exported_again(
    interrupted: Runner, settings: dict[str, str], backend: Backend
) -> None:
    backend.add_logs(DAYS[0], 1, first_id=50)
    assert retry(interrupted).success
    assert publishers(settings["EXPORTER_OUTPUT_URL"]) == [RETRY, FIRST, RETRY]


def test_a_day_of_other_settings_is_exported_again(
    interrupted: Runner, settings: dict[str, str]
) -> None:
    interrupted.datasets = [dataset(max_rejected_pct=50, compression="none")]
    assert retry(interrupted).success
    assert publishers(settings["EXPORTER_OUTPUT_URL"]) == [RETRY, RETRY, RETRY]


def test_a_run_that_a_user_repeats_exports_all_days(interrupted: Runner, backend: Backend) -> None:
    assert retry(interrupted, by_dagster=False).success
    lines = log_of(interrupted.instance, RETRY)
    assert not [line for line in lines if "not exported again" in line]
    assert [line for line in lines if "logs: 3 of 3 days published" in line]
