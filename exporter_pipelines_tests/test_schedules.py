"""Schedules, jobs, and the graph as a whole."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from exporter_pipelines.components import DatasetExport
from exporter_pipelines.definitions import build
from exporter_pipelines.engine.judge import CHECKS
from exporter_pipelines_tests.support.datasets import dataset

DATASETS = ("anomalies", "ips", "logs")
PRESETS = ("logs_errors", "logs_light", "logs_parquet")


@pytest.fixture
def repository(settings: dict[str, str]) -> dg.RepositoryDefinition:
    """The graph under the settings of this test."""
    return build().get_repository_def()


def tick(
    name: str, at: dt.datetime, repository: dg.RepositoryDefinition
) -> dg.RunRequest | dg.SkipReason:
    """What a schedule asks for at a moment."""
    context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository)
    asked = repository.get_schedule_def(name).evaluate_tick(context)
    if asked.run_requests:
        [request] = asked.run_requests
        return request
    return dg.SkipReason(asked.skip_message)


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_tick_asks_for_yesterday_once(repository: dg.RepositoryDefinition, dataset: str) -> None:
    at = dt.datetime(2026, 11, 5, 2, 15, tzinfo=dt.UTC)
    request = tick(f"{dataset}_schedule", at, repository)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == ("2026-11-04", "2026-11-04")
    assert int(request.tags["dagster/priority"]) > 0  # before the runs that wait for a backfill


@pytest.mark.parametrize(
    ("local", "yesterday"),
    [
        ("2026-03-29T03:15", "2026-03-28"),  # the night that lost 02:15
        ("2026-03-30T02:15", "2026-03-29"),
        ("2026-10-25T02:15", "2026-10-24"),  # the night that had it twice
        ("2026-10-26T02:15", "2026-10-25"),
        ("2026-11-02T00:30", "2026-11-01"),  # in UTC still the first
    ],
)
def test_yesterday_is_that_of_the_configured_zone(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], local: str, yesterday: str
) -> None:
    monkeypatch.setenv("EXPORTER_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("EXPORTER_START_DATE", "2026-01-01")
    repository = build().get_repository_def()
    at = dt.datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    request = tick("logs_schedule", at.astimezone(dt.UTC), repository)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == yesterday
    assert repository.get_schedule_def("logs_schedule").execution_timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("day", "names"),
    [(1, "EXPORTER_START_DATE=2026-11-01"), (20, "EXPORTER_END_DATE=2026-11-15")],
    ids=["before the first day", "after the last"],
)
def test_a_skipped_tick_names_the_setting_and_its_file_and_warns_once(
    settings: dict[str, str], caplog: pytest.LogCaptureFixture, day: int, names: str
) -> None:
    file = Path(".env")
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    repository = build().get_repository_def()
    at = dt.datetime(2026, 11, day, 2, 15, tzinfo=dt.UTC)
    for _ in range(2):
        skipped = tick("logs_schedule", at, repository)
        assert isinstance(skipped, dg.SkipReason)
        yesterday = (at - dt.timedelta(days=1)).date()
        assert f"{yesterday} is not exported" in (skipped.skip_message or "")
        assert f"{names} in {file.absolute()}" in (skipped.skip_message or "")
    [warning] = [each for each in caplog.messages if "logs_schedule exports nothing" in each]
    assert names in warning
    described = repository.get_schedule_def("logs_schedule").description or ""
    assert f"EXPORTER_END_DATE=2026-11-15 in {file.absolute()}" in described


def test_the_graph(repository: dg.RepositoryDefinition) -> None:
    graph, single_run = repository.asset_graph, dg.BackfillPolicy.single_run()
    nodes = [graph.get(key) for key in sorted(graph.get_all_asset_keys())]
    assert {
        node.key.to_user_string(): (node.group_name, sorted(node.kinds), node.backfill_policy)
        for node in nodes
    } == {
        **{name: ("exports", ["jsonl", "postgres"], single_run) for name in DATASETS},
        "export_report": ("report", ["html", "matplotlib"], single_run),
        "logs_errors": ("presets", ["jsonl", "postgres"], single_run),
        "logs_light": ("presets", ["jsonl", "postgres"], single_run),
        "logs_parquet": ("presets", ["parquet", "postgres"], single_run),
    }
    [partitions] = {node.partitions_def for node in nodes}
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert (partitions.get_first_partition_key(), partitions.get_last_partition_key()) == (
        "2026-11-01",
        "2026-11-14",
    )
    assert {key.to_user_string() for key in graph.asset_check_keys} == {
        f"{name}:{check}" for name in (*DATASETS, *PRESETS) for check in CHECKS
    }
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {
        "all_exports_job",
        "anomalies_job",
        "export_report_job",
        "ips_job",
        "logs_job",
        "logs_errors_job",
        "logs_light_job",
        "logs_parquet_job",
        "prune_job",
        "repair_job",
    }
    assert {
        s.name: (s.cron_schedule, s.execution_timezone, s.job_name, s.default_status.value)
        for s in repository.schedule_defs
    } == {
        "anomalies_schedule": ("20 2 * * *", "UTC", "anomalies_job", "STOPPED"),
        "ips_schedule": ("25 2 * * *", "UTC", "ips_job", "STOPPED"),
        "logs_schedule": ("15 2 * * *", "UTC", "logs_job", "STOPPED"),
        "prune_schedule": ("45 4 * * *", "UTC", "prune_job", "STOPPED"),
    }
    assert {s.name: s.default_status.value for s in repository.sensor_defs} == {
        "condition_alerts_sensor": "RUNNING",
        "dead_runs_sensor": "RUNNING",
        "late_data_sensor": "STOPPED",
        "training_sets_sensor": "STOPPED",
        "run_alerts_sensor": "RUNNING",
        "export_report_sensor": "RUNNING",
    }
    assert set(repository.get_top_level_resources()) == {"backend", "exports", "io_manager"}


@pytest.mark.parametrize(
    ("job", "assets"),
    [("all_exports_job", DATASETS), *((f"{name}_job", (name,)) for name in (*DATASETS, *PRESETS))],
)
def test_a_job_exports_its_assets(
    repository: dg.RepositoryDefinition, job: str, assets: tuple[str, ...]
) -> None:
    keys = repository.get_job(job).asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in keys} == set(assets)


def test_a_dataset_without_a_cron_line_has_no_schedule(settings: dict[str, str]) -> None:
    component = DatasetExport(dataset(schedule=None))
    assert not component.build_defs(None).schedules  # type: ignore[arg-type]
