"""Presets, variants of a dataset: how they are loaded, what they inherit, and their exports."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from exporter_pipelines import api
from exporter_pipelines.components.dataset_preset import DatasetPreset
from exporter_pipelines.contracts.preset import OVERRIDES, PresetConfig
from exporter_pipelines.defs_files import Definitions, dataset_named
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of, materializations
from exporter_pipelines_tests.support.datasets import export, rejected, rows
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.projects import ROOT, Project

DAY = "2026-11-01"
PRESETS = ("logs_errors", "logs_light", "logs_parquet")


@pytest.fixture
def day(backend: Backend) -> Backend:
    """A hundred rows: 10 errors, 5 critical under another name, one of no level, one rejected."""
    backend.add_logs(DAY, 100)
    backend.run("UPDATE logs SET level = 'ERROR' WHERE id % 10 = 0")
    backend.run("UPDATE logs SET level = 'fatal' WHERE id % 20 = 1")
    backend.run("UPDATE logs SET level = NULL WHERE id = 2; UPDATE logs SET ip = 'h' WHERE id = 10")
    return backend


# Found and laid over


def test_presets_are_found_and_are_no_datasets() -> None:
    assert Definitions().preset_names() == sorted(PRESETS)
    assert not set(PRESETS) & set(Definitions().dataset_names())


def test_a_preset_has_what_it_does_not_override_from_its_dataset() -> None:
    logs, parquet = dataset_named("logs").config, dataset_named("logs_parquet")
    changed = {
        name
        for name in type(logs).model_fields
        if getattr(logs, name) != getattr(parquet.config, name)
    }
    assert changed == {"name", "description", "format", "compression", "schedule"}
    assert parquet.config.schedule is None


def test_a_preset_is_merged_with_its_dataset() -> None:
    preset = PresetConfig(
        name="mine", like="logs", thresholds={"b": "hold"}, max_file_records=None, transforms=[]
    )  # type: ignore[call-arg]
    base: dict[str, Any] = {
        "name": "logs", "schema": "x.Y", "thresholds": {"a": "warn", "b": "warn"},
        "max_file_records": 10, "transforms": [{"name": "level_aliases"}], "schedule": "0 1 * * *",
    }  # fmt: skip
    assert preset.merged_with(base) == {
        "name": "mine", "schema": "x.Y", "thresholds": {"a": "warn", "b": "hold"},
        "max_file_records": None, "transforms": (), "schedule": None,
    }  # fmt: skip


@pytest.mark.parametrize("field", ["source", "schema", "rules", "key", "row_schema"])
def test_what_makes_it_another_dataset_cannot_be_overridden(field: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        PresetConfig(**{"name": "mine", "like": "logs", field: {}})


def test_the_page_names_what_a_preset_may_override() -> None:
    page = (ROOT / "docs" / "presets.md").read_text()
    for name in (*OVERRIDES, *PRESETS):
        assert f"`{name}`" in page, name


def test_a_name_that_nobody_has_lists_datasets_and_presets() -> None:
    with pytest.raises(UnknownNameError, match="anomalies, ips, logs, logs_errors, logs_light"):
        dataset_named("logs_error")


# Exported


def test_errors_only(day: Backend, store: LocalStore) -> None:
    manifest = export(day.url, dataset_named("logs_errors"), DAY, store)
    assert manifest.counts.model_dump() == {
        "read": 100, "exported": 14, "rejected": 1, "filtered": 85,
    }  # fmt: skip
    assert {row["level"] for row in rows(store, manifest)} == {"ERROR", "CRITICAL"}
    assert [row["id"] for row in rejected(store, manifest)] == [10]
    assert manifest.data_quality_metrics["filtered.severe"] == 85
    assert manifest.export_config["filters"][0]["value"] == ["ERROR", "CRITICAL"]


def test_the_same_counts_less_what_the_filter_removed(day: Backend, store: LocalStore) -> None:
    logs = export(day.url, dataset_named("logs"), DAY, store)
    severe = [row for row in rows(store, logs) if row["level"] in {"ERROR", "CRITICAL"}]
    preset = export(day.url, dataset_named("logs_errors"), DAY, store)
    assert rows(store, preset) == severe
    assert preset.counts.read == logs.counts.read


def test_parquet_with_all_columns(day: Backend, store: LocalStore) -> None:
    manifest = export(day.url, dataset_named("logs_parquet"), DAY, store)
    logs = export(day.url, dataset_named("logs"), DAY, store)
    [file] = manifest.files
    assert file.path == f"logs_parquet-{DAY}.parquet"
    table = pq.read_table(store.day_folder("logs_parquet", DAY) / file.path)
    assert table.num_rows == manifest.record_count == logs.record_count == 98
    assert table.column_names == [column.name for column in logs.columns]


def test_fewer_columns_in_their_own_order(day: Backend, store: LocalStore) -> None:
    light = dataset_named("logs_light")
    manifest = export(day.url, light, DAY, store)
    assert list(rows(store, manifest)[0]) == ["id", "timestamp", "level", "message"]
    assert [column.name for column in manifest.columns] == list(light.config.select or ())
    # Rules judge the columns that are left out as well, and the quarantine has them.
    assert [row["id"] for row in rejected(store, manifest)] == [2, 10]
    assert rejected(store, manifest)[1]["ip"] == "h"


@pytest.mark.parametrize("format_", ["json", "csv", "parquet", "jsonl"])
def test_every_format_writes_the_selected_columns(
    day: Backend, settings: dict[str, str], format_: str
) -> None:
    light = dataset_named("logs_light")
    config = light.config.model_copy(
        update={"format": format_, "select": ("message", "timestamp", "id"), "compression": "none"}
    )
    api.export_day(type(light)(config, light.schema), DAY)
    loaded_back = api.open_days("logs_light", DAY).read_all()
    assert loaded_back.column_names == ["message", "timestamp", "id"]
    assert loaded_back.num_rows == 98


def test_a_preset_is_exported_by_name(day: Backend, settings: dict[str, str]) -> None:
    assert api.export_day("logs_errors", DAY).record_count == 14
    assert api.open_days("logs_errors", DAY).read_all().num_rows == 14


def test_a_preset_has_a_job_and_a_schedule_only_of_its_own(settings: dict[str, str]) -> None:
    errors = dataset_named("logs_errors")
    without = DatasetPreset(errors).build_defs(None)  # type: ignore[arg-type]
    assert not without.schedules
    config = errors.config.model_copy(update={"schedule": "0 4 * * *"})
    planned = DatasetPreset(type(errors)(config, errors.schema)).build_defs(None)  # type: ignore[arg-type]
    [schedule] = planned.schedules or ()
    assert schedule.name == "logs_errors_schedule"


# In a project


def test_the_example_of_the_page_is_exported_by_the_command_line(
    project: Project, day: Backend
) -> None:
    defs = project.path / "exporter_pipelines" / "defs"
    (defs / "edge_warnings").mkdir()
    (defs / "edge_warnings" / "defs.yaml").write_text(example("defs/edge_warnings/defs.yaml"))
    day.run("UPDATE logs SET level = 'warn' WHERE id IN (3, 4, 5)")
    day.run("UPDATE logs SET device = 'core-1' WHERE id = 4")
    listed = project.dagster(
        "asset", "list", "-m", "exporter_pipelines.definitions", "--select", "group:presets"
    )
    assert listed.stdout.split() == sorted(["edge_warnings", *PRESETS])
    done = project.materialize("edge_warnings", partition=DAY)
    assert done.code == 0, done.stderr
    manifest = project.manifest("edge_warnings", DAY)
    assert manifest
    assert manifest.record_count == 2
    assert manifest.data_quality_metrics["filtered.warnings"] == 97
    assert manifest.data_quality_metrics["filtered.edge"] == 1
    assert manifest.files[0].path == f"edge_warnings-{DAY}.csv.gz"
    with history_of(project) as instance:
        [event] = materializations(instance, "edge_warnings", DAY)
        assert event.metadata["rows_filtered"].value == 98
        assert not materializations(instance, "logs", DAY)
    assert project.manifest("logs", DAY) is None
