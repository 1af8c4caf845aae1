"""`exporter verify`: damage of any kind is found, and intact days give no finding."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import json
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli import export_progress, main
from exporter_pipelines.cli.verify_progress import VerifyDisplay
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.progress import Meter
from exporter_pipelines.defs_files import Definitions, dataset_named, definitions
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.engine.retention import plan, remove
from exporter_pipelines.errors import (
    ConfigurationError,
    DayHeldError,
    OutputUnavailableError,
    PublishedDayDamagedError,
)
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.layout import report_index, report_page
from exporter_pipelines.stores.local.pages import write_page
from exporter_pipelines.verification.days import verify_day, verify_folders
from exporter_pipelines.verification.report import KINDS, VerifyFinding
from exporter_pipelines.verification.run import Summary
from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.databases import sqlite_database, with_shipped_tables
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.definitions import copy_definitions
from exporter_pipelines_tests.support.export_mutations import MUTATIONS, Mutation
from exporter_pipelines_tests.support.projects import ROOT

DAY, NEXT, EMPTY = "2026-11-01", "2026-11-02", "2026-11-03"
FORMS: dict[str, dict[str, Any]] = {
    "jsonl-none": {"compression": "none"},
    "jsonl-parts": {"max_file_records": 20},
    "json": {"format": "json", "compression": "zstd"},
    "csv": {"format": "csv"},
    "parquet": {"format": "parquet", "compression": "zstd"},
}


@pytest.fixture(scope="module")
def published(
    postgres_url: str, empty_tables: Backend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Backend, LocalStore]]:
    """The three days of `publish` and their source, neither of which a test changes."""
    with fresh_database(postgres_url, empty_tables) as source:
        store = LocalStore(tmp_path_factory.mktemp("published") / "exports")
        publish(source, store)
        yield source, store


def publish(source: Backend, store: LocalStore) -> None:
    """Three days: two with rejected rows, one of them in parts, and one without rows."""
    for number, day in enumerate((DAY, NEXT)):
        source.add_logs(day, 50, first_id=1 + number * 1000)
        source.add_logs(day, 2, first_id=500 + number * 1000, level="odd")
    export(source.url, dataset(), DAY, store)
    export(source.url, dataset(max_file_records=20), NEXT, store)
    export(source.url, dataset(), EMPTY, store)


@pytest.fixture
def days(
    published: tuple[Backend, LocalStore],
    settings: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> LocalStore:
    """A copy of the published days."""
    source, store = published
    monkeypatch.setenv("EXPORTER_SOURCE_URL", source.url)
    shutil.copytree(store.root, tmp_path / "exports", symlinks=True)
    return LocalStore(tmp_path / "exports")


def findings(store: LocalStore, name: str = "logs") -> list[VerifyFinding]:
    folders, days = verify_folders(store, name, {"logs"})
    reports = [folders, *(verify_day(store, name, day)[0] for day in days)]
    return [finding for report in reports for finding in report.findings]


def kinds(store: LocalStore, name: str = "logs") -> list[str]:
    return [finding.kind for finding in findings(store, name)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", *arguments])


def verified(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = run("--json", *arguments)
    document: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, document


# --- what is well ---


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_day_is_in_order(
    backend: Backend, store: LocalStore, form: dict[str, Any]
) -> None:
    backend.add_logs(DAY, 50, message="=1+1\n\U0001f600")
    backend.add_logs(DAY, 2, first_id=500, level="odd")
    export(backend.url, dataset(**form), DAY, store)
    report, manifest = verify_day(store, "logs", DAY)
    assert (report.findings, report.rows) == ([], 50)
    assert manifest
    assert report.files == len(manifest.files) + 1


def test_a_held_day_beside_it_is_in_order(backend: Backend, store: LocalStore) -> None:
    publish(backend, store)
    backend.run("UPDATE logs SET level = 'odd'")
    for day in (DAY, EMPTY):
        backend.add_logs(day, 20, first_id=10_000 + int(day[-2:]) * 100, level="odd")
        with pytest.raises(DayHeldError):
            export(backend.url, dataset(), day, store)
    assert findings(store) == []


def test_days_that_are_replaced_meanwhile_give_no_false_alarm(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 100)
    backend.add_logs(DAY, 2, first_id=500, level="odd")
    export(backend.url, dataset(), DAY, store)
    stopped, seen = threading.Event(), []

    def verify() -> None:
        while not stopped.is_set():
            seen.append(findings(store))

    thread = threading.Thread(target=verify)
    thread.start()
    try:
        for number in range(12):
            export(backend.url, dataset(max_file_records=7 if number % 2 else None), DAY, store)
    finally:
        stopped.set()
        thread.join()
    assert [found for found in seen if found] == []
    assert len(seen) > 12


# --- damage ---


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_damage_is_found(days: LocalStore, tmp_path: Path, mutation: Mutation) -> None:
    home, pristine, dice = days.root / "logs", tmp_path / "pristine", random.Random(20261101)
    assert findings(days) == []
    shutil.copytree(home, pristine)
    for _ in range(6):
        what = mutation(home, dice)
        found = findings(days)
        assert [f for f in found if f.level == "FAIL"], what
        assert {f.kind for f in found} <= set(KINDS)
        shutil.rmtree(home)
        moved = tmp_path / "moved"
        shutil.rmtree(moved, ignore_errors=True)
        moved.unlink(missing_ok=True)
        shutil.copytree(pristine, home)


def test_every_value_of_a_manifest_is_bound(days: LocalStore) -> None:
    path = days.day_folder("logs", DAY) / MANIFEST_NAME
    text = path.read_text()
    document = json.loads(text)
    for name in document:
        path.write_text(json.dumps({**document, name: document[name] or "x", "dataset": "logs"}))
        assert kinds(days) == ["manifest_damaged"], name
        path.write_text(json.dumps({k: v for k, v in document.items() if k != name}, indent=2))
        assert kinds(days)[:1] in (["manifest_damaged"], ["manifest_unsealed"]), name
    path.write_text(text)
    assert findings(days) == []


def test_a_manifest_of_an_earlier_version_is_verified_as_far_as_it_goes(days: LocalStore) -> None:
    path = days.day_folder("logs", DAY) / MANIFEST_NAME
    document = json.loads(path.read_text())
    del document["manifest_sha256"]
    shutil.rmtree(days.root / ".ledger")  # that version had none

    def write(**changes: Any) -> list[str]:
        path.write_text(json.dumps({**document, **changes}, indent=2, ensure_ascii=False) + "\n")
        return kinds(days)

    assert write() == ["manifest_unsealed"]
    assert open_day(days, "logs", DAY).read_all().num_rows == 50
    assert run().exit_code == 0
    for changes in (
        {"data_version": "0" * 64},
        {"window": {**document["window"], "timezone": "Asia/Tokyo"}},
        {"files": [{**document["files"][0], "path": "x.jsonl.gz"}]},
        {"quarantine": {**document["quarantine"], "path": "../../x"}},
        {"data_quality_metrics": {**document["data_quality_metrics"], "rejected_pct": 99}},
    ):
        assert write(**changes)[:1] == ["manifest_wrong"], changes
    assert write(unheard_of=1)[:1] == ["manifest_damaged"]
    first = {**document["files"][0], "max_timestamp": "2026-11-01T23:00:00Z"}
    assert "rows_differ" in write(files=[first])


def test_a_changed_manifest_is_refused_by_whoever_reads_the_day(days: LocalStore) -> None:
    path = days.day_folder("logs", DAY) / MANIFEST_NAME
    path.write_text(path.read_text().replace('"odd"', '"even"').replace("1987", "1988") + " ")
    with pytest.raises(PublishedDayDamagedError, match="manifest_sha256 does not match"):
        open_day(days, "logs", DAY)


# --- the command ---


def test_all_is_well(days: LocalStore) -> None:
    result = run()
    assert result.exit_code == 0
    assert "3 days of 1 dataset, 6 files, 100 rows" in result.output
    assert "0 findings in 0 days" in result.output
    code, document = verified("logs", "--from", DAY, "--to", NEXT)
    assert (code, document["status"]) == (0, "ok")
    assert document["checked"]["days"] == 2
    assert verified("--quick")[1]["checked"]["rows"] == 100


def test_a_finding_names_file_and_remedy(days: LocalStore) -> None:
    (path,) = days.day_folder("logs", DAY).glob("*.gz")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = run()
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert f"logs/data/date={DAY}/{path.name} does not have the sha256 of the manifest" in line
    assert line.endswith(f"exporter export logs {DAY}")
    code, document = verified("--day", DAY)
    assert (code, document["status"]) == (1, "findings")
    assert [f["kind"] for f in document["findings"]] == ["content_differs"]
    assert verified("--day", NEXT)[0] == 0


def test_a_folder_of_no_dataset_is_a_finding(days: LocalStore) -> None:
    (days.root / "stranger").mkdir(mode=0o750)
    assert [f["kind"] for f in verified()[1]["findings"]] == ["unknown_dataset"]
    assert verified("logs")[0] == 0


def test_nothing_exported_yet(settings: dict[str, str]) -> None:
    result = run()
    assert result.exit_code == 0
    assert "nothing to verify" in result.output
    assert verified()[1]["checked"]["days"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "'nonsense' does not exist"),
        (("--day", "2026-12-24"), "2026-12-24 is not published"),
        (("--day", DAY, "--from", DAY), "were both given"),
        (("--from", NEXT, "--to", DAY), "is before"),
    ],
)
def test_what_cannot_be_checked_is_said(
    days: LocalStore, arguments: tuple[str, ...], message: str
) -> None:
    code, document = verified(*arguments)
    assert (code, document["status"]) == (2, "not_checked")
    assert message in document["errors"][0]


def test_wrong_settings_are_said(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", "ftp://host")
    assert verified()[0] == 2


# --- its progress ---


def test_the_progress_says_how_far_it_is() -> None:
    summary, seconds = Summary("exports"), [0.0]
    display = VerifyDisplay(summary)
    assert display.line() == "listing the days"
    display.follow(meter := Meter(4, clock=lambda: seconds[0]))
    assert display.line() == "0 of 4 days, verify 0 %"
    meter.begin("logs", DAY)
    meter.batch(1000, 2000)
    assert display.line().startswith(f"0 of 4 days, verify 12 %, logs {DAY}, day 50 %")
    seconds[0] = 9.0
    summary.findings.append(VerifyFinding("FAIL", "logs", DAY, "foreign", "x", "is odd", ""))
    meter.end()
    assert display.line() == f"1 of 4 days, verify 25 %, logs {DAY}, 1 finding, 27 s left"


@pytest.mark.parametrize("arguments", [(), ("--source", "--json")], ids=["plain", "source"])
def test_a_long_verification_shows_its_progress_beside_its_results(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def slow(_datasets: tuple[str, ...]) -> list[str]:
        time.sleep(0.1)
        return []

    batches: list[tuple[int, int]] = []
    verify_command = importlib.import_module("exporter_pipelines.cli.verify")
    monkeypatch.setattr(verify_command, "_history_notes", slow)
    monkeypatch.setattr(export_progress, "_LINE_EVERY_S", 0.001)
    monkeypatch.setattr(Meter, "batch", lambda _, *rows: batches.append(rows))
    result = run(*arguments)
    assert re.search(r"^\d of 3 days, verify \d+ %, logs 2026", result.stderr, re.MULTILINE)
    assert "comparing with Dagster's history\n" in result.stderr
    assert "verify" not in result.stdout
    expected = [(52, 52), (52, 52)] if "--source" in arguments else []
    assert batches == expected, "the rows that are read from the database"


class Terminal(io.StringIO):
    """A slow one, so that what two threads write mixes."""

    def isatty(self) -> bool:
        """See `io`."""
        return True

    def write(self, text: str) -> int:
        """See `io`."""
        time.sleep(0.001)
        return super().write(text)


def test_a_finding_on_a_terminal_is_on_a_line_without_the_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(export_progress, "_BAR_EVERY_S", 0.0005)
    with VerifyDisplay(Summary("exports")) as display:
        for _ in range(50):
            display.result("a finding")
            time.sleep(0.001)
    *lines, end = terminal.getvalue().split("\n")
    assert {line.rpartition("\r\x1b[K")[2] for line in lines} == {"a finding"}
    assert end.endswith("listing the days\r\x1b[K")


# --- against the database ---


def test_the_database_has_what_was_exported(days: LocalStore) -> None:
    assert verified("--source")[1]["findings"] == []


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_rows_that_differ_are_named_by_key(
    backend: Backend, settings: dict[str, str], tmp_path: Path, form: dict[str, Any]
) -> None:
    backend.add_logs(DAY, 50, message="secret =1+1\u0001")
    backend.add_logs(DAY, 5, first_id=500, level="odd")
    export(backend.url, dataset(**form), DAY, LocalStore(tmp_path / "exports"))
    assert verified("--source")[1]["findings"] == []
    backend.run("DELETE FROM logs WHERE id IN (7, 501)")  # exported; rejected
    backend.run("UPDATE logs SET message = 'secret' WHERE id = 8")
    backend.run("UPDATE logs SET timestamp = timestamp + interval '3 hours' WHERE id = 9")
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 10")  # would be rejected now
    backend.run("UPDATE logs SET level = 'INFO' WHERE id = 502")  # would be exported now
    backend.run("UPDATE logs SET timestamp = timestamp + interval '1 day' WHERE id = 11")
    backend.add_logs(DAY, 30, first_id=9000)
    result = run("--source")
    assert result.exit_code == 1
    assert "has 3 rows that the database does not have: 7, 11, 501." in result.output
    assert "has 4 rows that differ in the database: 8, 9, 10, 502." in result.output
    assert "lacks 30 rows of the database: 90" in result.output
    assert "and 10 more." in result.output
    assert "secret" not in result.output


def test_repeated_keys_are_told_apart(
    backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    backend.run("ALTER TABLE logs DROP CONSTRAINT logs_pkey")
    for message in "aab":
        backend.add_logs(DAY, 1, message=message)
    export(backend.url, dataset(), DAY, LocalStore(tmp_path / "exports"))
    assert verified("--source")[0] == 0
    backend.run("DELETE FROM logs WHERE ctid = (SELECT min(ctid) FROM logs)")
    assert [f["kind"] for f in verified("--source")[1]["findings"]] == ["source_extra"]


def test_other_columns_are_said(published: tuple[Backend, LocalStore], days: LocalStore) -> None:
    export(published[0].url, dataset(select=["id", "timestamp"]), DAY, days)
    (finding,) = verified("--source", "--day", DAY)[1]["findings"]
    assert finding["kind"] == "source_columns"


def test_a_database_that_does_not_answer_cannot_be_checked(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_SOURCE_URL", "postgresql://user:hunter2@127.0.0.1:1/none")
    result = run("--source")
    assert result.exit_code == 2
    assert result.output.count("Error:") == 1
    assert "hunter2" not in result.output


def test_a_dataset_whose_file_is_broken_cannot_be_checked(
    days: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = tmp_path / "defs"
    copy_definitions(defs)
    monkeypatch.setattr(definitions, "DEFS", defs)
    file = defs / "logs" / "defs.yaml"
    file.write_text(file.read_text().replace("  schedule:", "  shedule:"))
    code, document = verified("--source")
    assert code == 2
    assert document["findings"] == []
    [error] = document["errors"]
    assert "logs/defs.yaml:26: shedule: there is no such setting" in error


def test_nothing_is_left_of_a_comparison(
    days: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path for path in days.root.rglob("*"))
    assert verified("--source")[0] == 0
    assert sorted(path for path in days.root.rglob("*")) == before


# --- what else the project itself puts there, or takes away ---


def test_what_retention_removed_is_no_damage(
    backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "exports")
    names = [f"2026-11-{number:02}" for number in range(1, 7)]
    exported = dataset(retention={"keep_days": 5, "keep_at_least": 1, "keep_quarantine_days": 3})
    for number, day in enumerate(names):
        backend.add_logs(day, 20, first_id=1 + number * 1000)
        backend.add_logs(day, 2, first_id=500 + number * 1000, level="odd")
        export(backend.url, exported, day, store)
    removals = plan(store, exported, dt.date(2026, 11, 8))
    assert all(remove(store, removal) for removal in removals)
    assert [r.day for r in removals if r.what == "day"] == names[:3]
    assert [r.day for r in removals if r.what == "quarantine"] == names[:5]
    code, document = verified("--source")
    assert (code, document["findings"], document["checked"]["days"]) == (0, [], 3)
    code, document = verified("logs", "--day", names[0])
    assert code == 2
    today = dt.datetime.now(dt.UTC).date()
    assert f"{names[0]} of logs was removed by retention on {today}" in document["errors"][0]
    assert "keep_days: 5" in document["errors"][0]
    export(backend.url, exported, names[0], store)  # exported again: its rows must be there
    shutil.rmtree(store.quarantine_folder("logs", names[0]))
    assert [f["kind"] for f in verified("--day", names[0])[1]["findings"]] == ["file_missing"]


def test_the_projects_own_folders_are_no_findings(days: LocalStore) -> None:
    write_page(days.root, report_page(days.root, DAY), b"<!doctype html>")
    write_page(days.root, report_index(days.root), b"<!doctype html>")
    code, document = verified()
    assert (code, document["findings"], document["checked"]["datasets"]) == (0, [], 1)


def test_a_preset_is_compared_as_its_dataset_is(
    backend: Backend, settings: dict[str, str], tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "exports")
    backend.add_logs(DAY, 20)
    backend.add_logs(DAY, 5, first_id=500, level="ERROR")
    for name in Definitions().preset_names():
        export(backend.url, dataset_named(name), DAY, store)
        assert verified(name, "--source")[1]["findings"] == []
    backend.run("DELETE FROM logs WHERE id IN (3, 502)")
    found = verified("--source")[1]["findings"]
    extra = {f["dataset"]: f["message"] for f in found}
    assert set(extra) == set(Definitions().preset_names())
    assert extra["logs_errors"].endswith(
        "has 1 row that the database does not have or a filter leaves out now: 502"
    )


def test_a_sqlite_file_is_compared(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = with_shipped_tables(sqlite_database(tmp_path / "app.db"))
    noon = f"{DAY}T12:00:00Z"
    for number in range(20):
        row = {"id": number, "timestamp": noon, "level": "INFO", "message": "m", "source": "s"}
        database.add("logs", {**row, "level": "odd"} if number > 17 else row)
    exported = dataset(max_rejected_pct=100, retention={"keep_days": 9, "keep_quarantine_days": 1})
    store = LocalStore(tmp_path / "exports")
    export(database.url, exported, DAY, store)
    monkeypatch.setenv("EXPORTER_SOURCE_URL", database.url)
    assert verified("--source")[1]["findings"] == []
    assert [remove(store, r) for r in plan(store, exported, dt.date(2026, 11, 3))] == [True]
    assert verified("--source")[1]["findings"] == []
    database.run("UPDATE logs SET message = 'other' WHERE id = 4")
    database.run("DELETE FROM logs WHERE id IN (5, 19)")  # 19 was rejected, and its row is gone
    found = verified("--source")[1]["findings"]
    assert [(f["kind"], f["message"].rpartition(": ")[2]) for f in found] == [
        ("source_extra", "5"),
        ("source_changed", "4"),
    ]
    again = f"xport the day again: exporter export logs {DAY}"
    only_copy = "If the source has lost them, leave the export: it is the only copy. Otherwise e"
    assert [f["hint"] for f in found] == [only_copy + again, "E" + again]


# --- names that lead elsewhere ---


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/abs",
        "a\0b",
        "a\nb",
        "logs.",
        "l" * 300,
        "l\u043egs",
        "date=2026-11-01",
        "..",
        "",
        ".",
    ],
)
def test_hostile_names_reach_nothing(days: LocalStore, name: str) -> None:
    for act in (
        lambda: days.begin(name, DAY),
        lambda: open_day(days, name, DAY),
        lambda: days.begin("logs", name),
        lambda: open_day(days, "logs", name),
    ):
        with pytest.raises(ConfigurationError, match=r"cannot be the name|is not a day"):
            act()
    assert verified(name)[0] == 2
    assert sorted(entry.name for entry in days.root.iterdir() if entry.is_dir()) == [
        ".ledger", "logs",
    ]  # fmt: skip


@pytest.mark.parametrize("level", ["", "data", f"data/date={DAY}", "file", MANIFEST_NAME])
def test_no_link_is_followed_when_a_day_is_read(
    days: LocalStore, tmp_path: Path, level: str
) -> None:
    folder = days.day_folder("logs", DAY)
    path = days.root / "logs" / level
    if level == "file":
        (path,) = folder.glob("*.gz")
    elif level == MANIFEST_NAME:
        path = folder / level
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputUnavailableError, match="symbolic link"):
        open_day(days, "logs", DAY)
    assert "symbolic_link" in kinds(days)


def test_kinds_are_documented() -> None:
    page = (ROOT / "docs" / "verify.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
