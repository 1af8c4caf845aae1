"""Every feature works with exports in a bucket as with a folder, through its public path."""

from __future__ import annotations

import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from exporter_pipelines import api
from exporter_pipelines.cli import main
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine.repair import days_to_repair
from exporter_pipelines.engine.retention import plan, read_tombstone, remove
from exporter_pipelines.errors import (
    DayHeldError,
    DayNotPublishedError,
    PublishedDayDamagedError,
    WrongOutputFolderError,
)
from exporter_pipelines.orchestration.alerts.conditions import low_disk
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.report.asset import NAME, export_report
from exporter_pipelines.orchestration.upkeep import late_data
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.objects import view
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.projects import copy_project
from exporter_pipelines_tests.support.runs import Runner

DAY, NEXT = "2026-11-01", "2026-11-02"
TODAY = dt.date(2026, 11, 8)


def exporter(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def store(
    settings: dict[str, str], s3: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    """The empty output in a bucket that the settings of this process name."""
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    opened = open_store()
    assert isinstance(opened, ObjectStore)
    return opened


@pytest.fixture
def exported(store: ObjectStore, backend: Backend) -> ObjectStore:
    """Two published days: one with two rejected rows, one without rows."""
    backend.add_logs(DAY, 50)
    backend.add_logs(DAY, 2, first_id=500, level="odd")
    assert [m.record_count for m in api.export_days("logs", DAY, NEXT)] == [50, 0]
    return store


def manifest(store: ObjectStore, day: str = DAY) -> Manifest:
    found = Manifest.if_readable(store.read_manifest("logs", day))
    assert found
    return found


def data_key(store: ObjectStore) -> str:
    """The object that the pointer of the first day names."""
    name = manifest(store).files[0].path
    found = store.bucket.listed(f"logs/generations/date={DAY}")
    return next(each.key for each in found if each.name == name)


def test_a_day_has_the_same_bytes_as_in_a_folder(
    exported: ObjectStore, backend: Backend, tmp_path: Path
) -> None:
    here = export(backend.url, dataset(), DAY, LocalStore(tmp_path / "local"))
    there = manifest(exported)
    assert there.data_version == here.data_version
    assert [file.sha256 for file in there.files] == [file.sha256 for file in here.files]


def test_verify_finds_nothing_wrong_and_compares_with_the_database(
    exported: ObjectStore, backend: Backend
) -> None:
    done = exporter("verify", "--source", "--privacy", "--json")
    document = json.loads(done.stdout)
    assert (document["findings"], document["errors"], done.exit_code) == ([], [], 0)
    assert document["output"] == exported.location
    assert (document["checked"]["rows"], document["checked"]["days"]) == (50, 2)
    backend.run("UPDATE logs SET message = 'other' WHERE id = 1")
    [finding] = json.loads(exporter("verify", "--source", "--json").stdout)["findings"]
    assert (finding["kind"], finding["path"]) == ("source_changed", f"logs/data/date={DAY}")


def test_verify_finds_what_was_changed_in_the_bucket(
    exported: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_SETTLING_S", (0.0,))
    bucket, key = exported.bucket, data_key(exported)
    found = bucket.read(key)
    assert found
    bucket.write(key, found.content[:-1] + b"\1")
    bucket.write(f"logs/data/date={DAY}/copy.jsonl", b"{}\n")
    bucket.write(f"logs/quarantine/date={DAY}/notes.txt", b"mine")
    bucket.write("logs/old/file", b"mine")
    bucket.remove([f"logs/manifests/date={NEXT}.json"])
    done = exporter("verify", "--json")
    kinds = {(f["day"], f["kind"]) for f in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 1
    assert kinds == {
        (DAY, "content_differs"), (DAY, "foreign"), (None, "foreign"), (NEXT, "day_missing"),
    }  # fmt: skip
    bucket.remove([key])
    kinds = {f["kind"] for f in json.loads(exporter("verify", "--json").stdout)["findings"]}
    assert "file_missing" in kinds


def test_rows_are_loaded_once_verified(exported: ObjectStore) -> None:
    assert api.open_days("logs", DAY, NEXT).read_all().num_rows == 50
    with pytest.raises(DayNotPublishedError, match=f"not published in {exported.location}"):
        api.open_days("logs", "2026-11-05")
    key = data_key(exported)
    exported.bucket.write(key, b"other")
    with pytest.raises(PublishedDayDamagedError, match="does not have the sha256"):
        api.open_days("logs", DAY)
    exported.bucket.remove([key])
    with pytest.raises(PublishedDayDamagedError, match="is missing"):
        api.open_days("logs", DAY)


def test_days_in_several_files_are_loaded(store: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 50)
    exported = export(backend.url, dataset(max_file_records=20), DAY, store)
    assert len(exported.files) == 3
    assert api.open_days("logs", DAY).read_all()["id"].to_pylist() == [*range(1, 51)]


def test_dagster_records_urls_and_hands_rows_downstream(
    store: ObjectStore, backend: Backend
) -> None:
    backend.add_logs(DAY, 50)
    backend.add_logs(DAY, 2, first_id=500, level="odd")
    counted: list[int] = []

    @dg.asset(partitions_def=daily_partitions())
    def lines(logs: pa.RecordBatchReader) -> None:
        counted.append(logs.read_all().num_rows)

    runner = Runner([dataset()], [lines])
    assert runner.run("logs*", DAY).success
    assert counted == [50]
    metadata = materializations(runner.instance, "logs", DAY)[-1].metadata
    folder = f"{store.location}/logs/data/date={DAY}"
    assert metadata["manifest"] == dg.MetadataValue.url(f"{folder}/_manifest.json")
    assert metadata["data_file"].value == f"{folder}/{manifest(store).files[0].path}"
    assert metadata["dagster/uri"].value == folder
    assert str(metadata["quarantine"].value).startswith(f"{store.location}/logs/quarantine/")


def test_held_days_are_kept_repaired_and_listed(exported: ObjectStore, backend: Backend) -> None:
    backend.run("DELETE FROM logs WHERE id > 10 AND id < 500")
    with pytest.raises(DayHeldError) as held:
        api.export_day("logs", DAY)
    assert held.value.quarantine is None
    assert str(held.value.rejected_at).startswith(exported.quarantine_location("logs", DAY))
    done = exporter("keep", "logs", DAY)
    assert f"Kept 1 published days of logs: {DAY}." in done.output
    api.export_day("logs", DAY)
    assert manifest(exported).record_count == 50
    found = days_to_repair(exported, dataset(), "known_level")
    assert [(each.day, each.published) for each in found.days] == [(DAY, 2)]


def test_prune_removes_days_and_leaves_a_tombstone(exported: ObjectStore) -> None:
    pruned = dataset(retention={"keep_days": 1, "keep_at_least": 1})
    removals = plan(exported, pruned, TODAY)
    assert [f"{each.day} {each.what}" for each in removals] == [f"{DAY} quarantine", f"{DAY} day"]
    assert all(each.size_bytes > 0 for each in removals)
    assert [remove(exported, each) for each in removals] == [True, True]
    assert exported.published_days("logs") == [NEXT]
    assert read_tombstone(exported, "logs", DAY)
    done = exporter("verify", "--json")
    assert (json.loads(done.stdout)["findings"], done.exit_code) == ([], 0)
    assert "was removed by retention" in exporter("verify", "--day", DAY).stderr


def test_the_report_is_kept_in_the_bucket(exported: ObjectStore) -> None:
    runner = Runner([dataset()], [export_report({"logs": "Lines."}, daily_partitions())])
    assert runner.run(NAME, NEXT).success
    page = exported.read_report(None)
    assert page
    assert exported.location.encode() in page
    assert exported.read_report(NEXT)
    metadata = materializations(runner.instance, NAME, NEXT)[-1].metadata
    assert metadata["newest_report"].value == f"{exported.location}/report/index.html"
    assert metadata["storage_bytes"].value > 0


def test_another_bucket_than_before_is_refused_until_it_is_adopted(
    exported: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3: ObjectServer
) -> None:
    home = tmp_path / "dagster_home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert f"Exports go to {exported.location} from now on." in exporter("output", "adopt").output
    api.export_day("logs", NEXT)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", s3.below("other").url)
    with pytest.raises(WrongOutputFolderError, match=f"{s3.url}/other does not exist"):
        api.export_day("logs", NEXT)
    [finding] = json.loads(exporter("verify", "--json").stdout)["findings"]
    assert (finding["kind"], finding["path"]) == ("output_folder", ".")
    assert exporter("output", "adopt").exit_code == 0
    assert api.export_day("logs", NEXT).record_count == 0


def test_a_check_writes_nothing_to_the_bucket(store: ObjectStore, backend: Backend) -> None:
    backend.add_logs(DAY, 5)
    done = exporter("export", "logs", DAY, "--check-only")
    assert "1 day would be published" in done.output
    assert store.bucket.listed("") == []


def test_free_space_and_leftovers_are_no_question_in_a_bucket(exported: ObjectStore) -> None:
    assert low_disk(dg.DagsterInstance.ephemeral(), set()) == {}
    assert exported.dead_attempts("logs") == []


def test_late_rows_are_found(store: ObjectStore, backend: Backend, monkeypatch: Any) -> None:
    yesterday = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)).isoformat()
    logs = dataset(late_data={"lookback_days": 3, "settle_minutes": 0})
    backend.add_logs(yesterday, 10)
    export(backend.url, logs, yesterday, store)
    monkeypatch.setattr(late_data, "exported_names", lambda: ["logs"])
    monkeypatch.setattr(late_data, "dataset_named", {"logs": logs}.get)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick() -> Any:
            return late_data.late_data_sensor(dg.build_sensor_context(instance=instance))

        assert "1 published days compared, 0 differ" in tick().skip_reason.skip_message
        backend.add_logs(yesterday, 1, first_id=900)
        assert "1 published days compared, 1 differ" in tick().skip_reason.skip_message


def test_the_commands_of_a_project_work_with_a_bucket(
    settings: dict[str, str], s3: ObjectServer, backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(DAY, 50)
    backend.add_logs(NEXT, 50, first_id=100)
    project = copy_project(tmp_path / "project", {**settings, **s3.settings})
    done = project.exporter("export", "logs", DAY, NEXT)
    assert done.code == 0, done.stderr
    assert "2 of 2 days published" in done.stdout
    checked = project.exporter("doctor")
    assert f"{s3.url} is readable and writable" in checked.stdout
    verified = project.exporter("verify")
    assert "0 findings in 0 days" in verified.stdout, verified.stdout


def test_days_that_are_replaced_meanwhile_give_no_false_alarm(
    exported: ObjectStore, backend: Backend
) -> None:
    stopped, seen = threading.Event(), []

    def verify() -> None:
        while not stopped.is_set():
            seen.append(verify_day(exported, "logs", DAY)[0].findings)

    thread = threading.Thread(target=verify)
    thread.start()
    try:
        for number in range(8):
            options = {"max_file_records": 7 if number % 2 else None}
            export(backend.url, dataset(**options), DAY, exported)
    finally:
        stopped.set()
        thread.join()
    assert [found for found in seen if found] == []
    assert len(seen) > 8
