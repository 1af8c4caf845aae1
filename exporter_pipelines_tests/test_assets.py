"""Assets, checks and the IO manager, in runs within this process."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.definitions import build
from exporter_pipelines.engine.judge import CHECKS
from exporter_pipelines.orchestration.dagster_internals.partitioned_events import (
    check_evaluation,
    newest_materialization,
)
from exporter_pipelines.orchestration.exports import io_manager
from exporter_pipelines.orchestration.exports.io_manager import ExportIOManager
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import (
    check_statuses,
    materialization_records,
    materializations,
)
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner, failure

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"
BAD = "UPDATE logs SET level = 'odd' WHERE timestamp::date = %s"
GOOD = "UPDATE logs SET level = 'INFO' WHERE timestamp::date = %s"


@pytest.fixture
def logs(settings: dict[str, str], backend: Backend) -> Runner:
    """Three days of logs, 100 rows each, none of them exported."""
    for number, day in enumerate((ONE, TWO, THREE)):
        backend.add_logs(day, 100, first_id=number * 1000)
    return Runner([dataset()])


@pytest.fixture
def exports(settings: dict[str, str]) -> LocalStore:
    return LocalStore(Path(settings["EXPORTER_OUTPUT_URL"]))


def manifest(exports: LocalStore, day: str) -> Manifest:
    data = exports.read_manifest("logs", day)
    assert data is not None
    return Manifest.from_json(data)


def events(result: Any) -> list[str]:
    kept = {"STEP_OUTPUT", "ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "STEP_FAILURE"}
    return [e.event_type_value for e in result.all_events if e.event_type_value in kept]


def staged_files(exports: LocalStore) -> list[Path]:
    return list(exports.root.glob("*/.staging/*"))


def test_a_single_day_is_recorded_before_its_checks(logs: Runner) -> None:
    happened = events(logs.run("logs", ONE))
    assert happened[:2] == ["STEP_OUTPUT", "ASSET_MATERIALIZATION"]
    assert happened[2:] == ["STEP_OUTPUT", "ASSET_CHECK_EVALUATION"] * len(CHECKS)


def test_each_day_of_a_range_is_recorded_with_its_checks_before_the_next(logs: Runner) -> None:
    result = logs.run("logs", ONE, TWO)
    days = [
        e.event_specific_data.materialization.partition
        if e.event_type_value == "ASSET_MATERIALIZATION"
        else e.event_specific_data.partition
        for e in result.all_events
        if e.event_type_value in ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION")
    ]
    of_a_day = 1 + len(CHECKS)
    assert days == [ONE] * of_a_day + [TWO] * of_a_day + [None] * len(CHECKS)


def test_a_day_and_a_range_give_the_same_manifest_and_event(
    logs: Runner, exports: LocalStore
) -> None:
    logs.run("logs", ONE)
    alone = manifest(exports, ONE)
    [alone_event] = materializations(logs.instance, "logs", ONE)
    shutil.rmtree(exports.root)
    logs.run("logs", ONE, TWO)
    ranged = manifest(exports, ONE)
    ranged_event = materializations(logs.instance, "logs", ONE)[0]
    varying = {"export_timestamp", "run", "source", "manifest_sha256"}
    assert alone.model_dump(exclude=varying) == ranged.model_dump(exclude=varying)
    assert described(alone_event) == described(ranged_event)


def described(event: dg.AssetMaterialization) -> dict[str, Any]:
    varying = {"duration_s", "rows_per_s", "3. duration s"}
    # Provenance of assets that were read; an export has none, and Dagster notes it only alone.
    tags = {k: v for k, v in (event.tags or {}).items() if k == "dagster/data_version"}
    return {**{k: v for k, v in event.metadata.items() if k not in varying}, **tags}


def test_a_range_of_one_day_records_its_checks_for_that_day(logs: Runner) -> None:
    assert logs.run("logs", ONE, ONE).success
    assert len(materializations(logs.instance, "logs", ONE)) == 1
    assert check_statuses(logs.instance, "logs", "rejected_rows")[ONE] == "SUCCEEDED"


def test_the_last_day_before_the_first_is_refused(logs: Runner) -> None:
    result = logs.run("logs", TWO, ONE)
    assert failure(result).endswith("logs: the last day of the range is before its first.\n")


def test_a_run_without_a_day_is_refused_in_a_sentence(logs: Runner) -> None:
    result = logs.run("logs", "")
    assert "logs: the run has no partition: choose a day." in failure(result)
    assert "docs/failures.md#no-such-partition" in failure(result)


def test_the_data_version_is_that_of_the_manifest(logs: Runner, exports: LocalStore) -> None:
    logs.run("logs", ONE)
    logs.run("logs", TWO, THREE)
    for day in (ONE, TWO, THREE):
        [event] = materializations(logs.instance, "logs", day)
        assert (event.tags or {})["dagster/data_version"] == manifest(exports, day).data_version


def test_running_again_changes_the_data_version_only_with_the_rows(
    logs: Runner, backend: Backend
) -> None:
    for _ in range(2):
        logs.run("logs", ONE)
    backend.run("UPDATE logs SET message = 'changed' WHERE id = 1")
    logs.run("logs", ONE, TWO)
    third, second, first = (
        (event.tags or {})["dagster/data_version"]
        for event in materializations(logs.instance, "logs", ONE)
    )
    assert third != second == first


def test_metadata_of_a_day_holds_the_numbers_of_its_manifest(
    logs: Runner, exports: LocalStore, backend: Backend
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (3, 4)")
    logs.run("logs", ONE)
    [event] = materializations(logs.instance, "logs", ONE)
    shown = {key: value.value for key, value in event.metadata.items()}
    expected = manifest(exports, ONE)
    folder = exports.day_folder("logs", ONE)
    assert shown["dagster/partition_row_count"] == shown["rows_exported"] == 98
    assert (shown["rows_read"], shown["rows_rejected"], shown["rows_filtered"]) == (100, 2, 0)
    assert shown["size_bytes"] == expected.file_size
    assert shown["dagster/uri"] == f"file://{folder}"
    assert shown["manifest"] == str(folder / MANIFEST_NAME)
    assert shown["data_file"] == str(folder / expected.files[0].path)
    assert Path(shown["quarantine"]).is_file()
    assert shown["sha256"] == expected.files[0].sha256
    assert expected.data_quality_metrics.items() <= shown.items()
    assert "odd" not in json.dumps(shown)


def test_the_plots_of_a_day_begin_with_the_numbers_that_matter_most(
    logs: Runner, backend: Backend
) -> None:
    """Dagster sorts them by name."""
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 3")
    logs.run("logs", ONE)
    [event] = materializations(logs.instance, "logs", ONE)
    numbers = {key: entry.value for key, entry in event.metadata.items()}
    plots = sorted(key for key, value in numbers.items() if isinstance(value, int | float))
    assert plots[:4] == ["1. rows exported", "2. rejected %", "3. duration s", "4. size bytes"]
    assert [numbers[name] for name in plots[:2]] == [99, 1.0]


def test_checks_carry_their_numbers_and_the_worst_rules(logs: Runner, backend: Backend) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 3")
    [rejected] = [
        e
        for e in logs.run("logs", ONE).get_asset_check_evaluations()
        if e.check_name == "rejected_rows"
    ]
    assert (rejected.passed, rejected.severity.value, rejected.partition) == (False, "WARN", ONE)
    assert rejected.description == "1 of 100 rows rejected (1.00 %): 1 x known_level (level)."
    shown = {key: value.value for key, value in rejected.metadata.items()}
    assert f"/quarantine/date={ONE}/" in str(shown.pop("quarantine"))
    assert shown.pop("reason") == rejected.description
    assert "quarantine file" in str(shown.pop("action"))
    assert shown == {
        "rows_read": 100,
        "rows_rejected": 1,
        "rejected_pct": 1.0,
        "failed.known_level.level": 1,
    }


def test_a_held_day_fails_with_its_checks_and_without_a_materialization(
    logs: Runner, backend: Backend
) -> None:
    backend.run(BAD, [ONE])
    result = logs.run("logs", ONE)
    assert not result.success
    assert events(result) == [
        *["STEP_OUTPUT", "ASSET_CHECK_EVALUATION"] * len(CHECKS),
        "STEP_FAILURE",
    ]
    assert not materializations(logs.instance, "logs", ONE)
    assert "max_rejected_rows=10 and max_rejected_pct=1" in failure(result)


def test_a_held_day_costs_no_other_day_of_its_range(logs: Runner, backend: Backend) -> None:
    backend.run(BAD, [TWO])
    result = logs.run("logs", ONE, THREE)
    assert not result.success
    said = "1 of 3 days of logs are not published: 1 held.\nlogs 2026-11-02: held"
    assert said in failure(result)
    recorded = [day for day in (ONE, TWO, THREE) if materializations(logs.instance, "logs", day)]
    assert recorded == [ONE, THREE]


def test_the_summary_of_a_range_tells_held_days_from_warnings(
    logs: Runner, backend: Backend
) -> None:
    backend.run("UPDATE logs SET message = NULL WHERE id = 3")
    backend.run(BAD, [TWO])
    *_, summary = [
        e
        for e in logs.run("logs", ONE, THREE).get_asset_check_evaluations()
        if e.check_name == "rejected_rows"
    ]
    assert summary.description == (
        f"3 days judged. Held: {TWO}. Published with a warning: {ONE}. "
        "The page of each day shows why."
    )
    assert (summary.passed, summary.severity.value, summary.partition) == (False, "ERROR", None)


def test_a_range_of_which_nothing_was_judged_has_no_summary(logs: Runner, backend: Backend) -> None:
    backend.run("DROP TABLE logs")
    assert logs.run("logs", ONE, THREE).get_asset_check_evaluations() == []


def test_the_summary_of_good_days_keeps_the_severity_of_the_check(
    logs: Runner, backend: Backend
) -> None:
    backend.run("UPDATE logs SET message = NULL WHERE id = 3")
    evaluations = logs.run("logs", ONE, THREE).get_asset_check_evaluations()
    summaries = {e.check_name: e.severity.value for e in evaluations if e.partition is None}
    assert (summaries["rejection_limits"], summaries["rejected_rows"]) == ("ERROR", "WARN")


@pytest.mark.parametrize("last", ["", THREE], ids=["alone", "in a range"])
def test_the_check_of_the_limits_is_red_for_held_days_alone(
    logs: Runner, backend: Backend, last: str
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 3")
    backend.run(BAD, [TWO])
    for day in (ONE, TWO, THREE) if not last else (ONE,):
        logs.run("logs", day, last)
    statuses = check_statuses(logs.instance, "logs", "rejection_limits")
    assert {day: statuses[day] for day in (ONE, TWO, THREE)} == {
        ONE: "SUCCEEDED",
        TWO: "FAILED",
        THREE: "SUCCEEDED",
    }
    assert check_statuses(logs.instance, "logs", "rejected_rows")[ONE] == "FAILED"


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_check_status_of_a_day_that_is_held_after_it_was_published(
    logs: Runner, backend: Backend, last: str
) -> None:
    logs.run("logs", ONE, TWO)
    backend.run(BAD, [ONE])
    logs.run("logs", ONE, last)
    statuses = check_statuses(logs.instance, "logs", "rejected_rows")
    assert (statuses[ONE], statuses[TWO]) == ("FAILED", "SUCCEEDED")
    backend.run(GOOD, [ONE])
    logs.run("logs", ONE, last)
    assert check_statuses(logs.instance, "logs", "rejected_rows")[ONE] == "SUCCEEDED"


def test_check_status_of_a_day_that_is_held_and_was_never_published(
    logs: Runner, backend: Backend
) -> None:
    backend.run(BAD, [ONE])
    logs.run("logs", ONE, TWO)
    statuses = check_statuses(logs.instance, "logs", "rejected_rows")
    assert (statuses[ONE], statuses[TWO]) == ("FAILED", "SUCCEEDED")


def test_an_evaluation_names_its_day_and_the_newest_materialization_of_it(logs: Runner) -> None:
    logs.run("logs", ONE, TWO)
    logs.run("logs", ONE)
    key = dg.AssetKey("logs")
    evaluation = check_evaluation(
        newest_materialization(logs.instance, key, ONE),
        asset_key=key,
        partition=ONE,
        check_name="rejected_rows",
        passed=True,
        metadata={},
    )
    newest = materialization_records(logs.instance, "logs", ONE)[0]
    assert evaluation.partition == ONE
    assert evaluation.target_materialization_data is not None
    assert evaluation.target_materialization_data.storage_id == newest.storage_id


def test_a_bug_in_one_day_costs_no_other_day_and_quotes_no_row(
    logs: Runner, exports: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = io_manager.publish

    def crashing(store: Any, judged: Any) -> Any:
        if judged.staged.window.day == TWO:
            raise KeyError(judged.staged.window.day + " of a row")
        return original(store, judged)

    monkeypatch.setattr(io_manager, "publish", crashing)
    result = logs.run("logs", ONE, THREE)
    assert "logs 2026-11-02: unexpected KeyError in test_assets.py:" in failure(result)
    assert "2026-11-02 of a row" not in "".join(
        event.user_message for event in logs.instance.all_logs(result.run_id)
    )
    assert manifest(exports, THREE).record_count == 100
    assert not staged_files(exports)


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_failure_to_publish_leaves_no_staging_and_no_event(
    logs: Runner, exports: LocalStore, last: str
) -> None:
    day = exports.day_folder("logs", ONE)
    day.parent.mkdir(parents=True)
    day.parent.parent.joinpath(".locks").write_text("a file where a folder belongs")
    result = logs.run("logs", ONE, last)
    assert "Cannot write" in failure(result)
    assert not staged_files(exports)
    assert not materializations(logs.instance, "logs", ONE)


def test_an_output_folder_that_cannot_be_written_ends_a_range_early(
    logs: Runner, exports: LocalStore
) -> None:
    exports.root.write_text("a file where a folder belongs")
    said = failure(logs.run("logs", ONE, THREE))
    assert said.count("Cannot write") == 1
    assert f"logs not tried: {TWO}, {THREE}." in said


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_cancel_while_a_day_is_published_waits_until_it_is_recorded(
    logs: Runner, exports: LocalStore, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    original = io_manager.publish

    def cancelled_meanwhile(store: Any, staged: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return original(store, staged)

    monkeypatch.setattr(io_manager, "publish", cancelled_meanwhile)
    assert "DagsterExecutionInterruptedError" in failure(logs.run("logs", ONE, last))
    assert len(materializations(logs.instance, "logs", ONE)) == 1
    assert check_statuses(logs.instance, "logs", "rejected_rows")[ONE] == "SUCCEEDED"
    assert exports.read_manifest("logs", TWO) is None
    assert not staged_files(exports)


def test_basic_validation_exports_what_only_strict_rules_refuse(
    settings: dict[str, str], backend: Backend, exports: LocalStore
) -> None:
    backend.add_logs(ONE, 100, level="odd")
    backend.run("UPDATE logs SET message = NULL WHERE id = 7")
    assert Runner([dataset(validation="basic")]).run("logs", ONE).success
    counts = manifest(exports, ONE).counts
    assert (counts.exported, counts.rejected) == (99, 1)


def test_the_io_manager_refuses_what_is_not_an_export(settings: dict[str, str]) -> None:
    @dg.asset
    def report() -> int:
        return 3

    manager = ExportIOManager()
    result = dg.materialize([report], resources={"io_manager": manager}, raise_on_error=False)
    assert "report returned a int; the IO manager of this project publishes exports only" in (
        failure(result)
    )


def test_no_pickling_io_manager_is_reachable(settings: dict[str, str]) -> None:
    repository = build().get_repository_def()
    for job in repository.get_all_jobs():
        for node in job.nodes:
            for output in node.definition.output_defs:
                manager = job.resource_defs[output.io_manager_key or "io_manager"]
                assert "Export" in repr(manager.resource_fn), (job.name, output)
