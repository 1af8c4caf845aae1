"""Dagster and the doctor say the same about every mistake in a definition, and go on without it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster._core.definitions.utils import DISALLOWED_NAMES

import exporter_pipelines.defs
from exporter_pipelines import cli
from exporter_pipelines.definitions import build
from exporter_pipelines.defs_files import Definitions, dataset_named, definitions
from exporter_pipelines.defs_files.definitions import refusal_of
from exporter_pipelines.defs_files.documents import read_documents
from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.exports.jobs import EXPORT_REPORT_JOB, all_exports_job
from exporter_pipelines.orchestration.upkeep.pruning import prune_job
from exporter_pipelines.orchestration.upkeep.repair import repair_job
from exporter_pipelines_tests.support.broken_definitions import BROKEN, SECRET, Broken
from exporter_pipelines_tests.support.definitions import copy_definitions

GOOD = {"anomalies", "ips", "logs", "logs_errors", "logs_light", "logs_parquet"}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The good definitions and all broken ones, side by side, as this process' `defs/`."""
    folder = tmp_path_factory.mktemp("broken") / "defs"
    copy_definitions(folder)
    for case in BROKEN:
        case.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter_pipelines.defs, "__path__", [str(folder)])
        patch.setattr(exporter_pipelines.defs, "__file__", str(folder / "__init__.py"))
        patch.setattr(definitions, "DEFS", folder)
        patch.setenv("EXPORTER_OUTPUT_URL", str(folder.parent / "exports"))
        patch.setenv("EXPORTER_SOURCE_URL", f"sqlite:///{folder.parent}/missing.db")
        patch.chdir(folder.parent)
        yield folder


@pytest.fixture(scope="module")
def assets(defs: Path) -> dict[str, dg.AssetSpec]:
    """What Dagster has loaded."""
    loaded = build()
    jobs = {job.name for job in loaded.get_repository_def().get_all_jobs()}
    assert jobs >= {"all_exports_job", "whenever_job", "bracket_job", "logs_job"}
    specs = {spec.key.to_user_string(): spec for spec in loaded.resolve_all_asset_specs()}
    del specs["export_report"]
    return specs


@pytest.fixture(scope="module")
def findings(defs: Path) -> dict[str, str]:
    """What the doctor has found wrong with definitions."""
    done = CliRunner().invoke(cli.main, ["doctor", "--json"])
    assert SECRET not in done.output
    return {
        found["dataset"]: f"{found['message']}. {found['hint']}".strip()
        for found in json.loads(done.output)
        if found["check"] == "defs.yaml"
    }


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_dagster_and_the_doctor_name_the_same_mistake(
    case: Broken, defs: Path, assets: dict[str, dg.AssetSpec], findings: dict[str, str]
) -> None:
    shown = assets[case.name].metadata["problem"].value
    assert shown.startswith(f"{defs / case.name / 'defs.yaml'}:{case.line}: "), shown
    assert case.said in shown
    assert findings[case.name] == shown
    assert "\n" not in shown
    assert SECRET not in shown
    assert assets[case.name].group_name == ("presets" if case.of == "logs_errors" else "exports")
    with pytest.raises(ConfigurationError) as raised:
        dataset_named(case.name)
    assert str(raised.value) == shown


def test_all_others_are_as_without_the_mistakes(
    assets: dict[str, dg.AssetSpec], findings: dict[str, str]
) -> None:
    assert set(assets) == GOOD | {case.name for case in BROKEN}
    assert not GOOD & set(findings)
    for name in GOOD:
        assert "problem" not in assets[name].metadata
    assert {dataset.name for dataset in Definitions().usable()} == GOOD


def test_a_long_word_is_said_shortly_and_soon() -> None:
    """Looking for a URL in it took time with the square of its length."""
    started = time.process_time()
    said = mistake_at("file:1", "a." * 500_000).message
    assert time.process_time() - started < 5
    assert len(said) < 5000


def test_a_file_that_is_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "zeros").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("zeros", "pipe"):
        with pytest.raises(ConfigurationError, match="not a regular file"):
            read_documents(tmp_path / name)


def test_a_mistake_is_looked_for_once_and_a_correction_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, calls = tmp_path / "defs.yaml", []
    compose = yaml.compose_all
    monkeypatch.setattr(yaml, "compose_all", lambda *a, **k: calls.append(1) or compose(*a, **k))
    file.write_text("a: [")
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="not valid YAML"):
            read_documents(file)
    assert len(calls) == 1
    file.write_text("a: []")
    assert read_documents(file)[0].value == {"a": []}


def test_the_table_is_large_enough() -> None:
    assert len({case.name for case in BROKEN}) == len(BROKEN) > 30


def test_names_that_dagster_refuses_are_refused_for_a_dataset() -> None:
    jobs = [prune_job.name, repair_job.name, all_exports_job().name, EXPORT_REPORT_JOB]
    taken = {*DISALLOWED_NAMES, *(job.removesuffix("_job") for job in jobs)}
    assert {name for name in taken if not refusal_of(name)} == set()
    assert not refusal_of("logs")
