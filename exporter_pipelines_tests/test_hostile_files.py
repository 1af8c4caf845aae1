"""Files in the output folder that somebody has changed: every reader refuses them in its own words.

Their checksums are right, so that only the content can give them away.
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter_pipelines.contracts.changes import CHANGES_FILE
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest, sealed_json
from exporter_pipelines.contracts.tally import completeness_pct
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.engine.erase import Erase
from exporter_pipelines.engine.erase_scope import Scope
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.engine.prune import plan_prune
from exporter_pipelines.engine.subject_forms import SubjectForms
from exporter_pipelines.errors import ExporterError, PublishedDayDamagedError
from exporter_pipelines.privacy.subject_lookup import KnownSubjects
from exporter_pipelines.privacy.subject_search import SubjectSearch
from exporter_pipelines.privacy.subjects import Subject
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.layout import ledger_file
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.private_days import DAY, KEY, KEY_NAME, sqlite_logs

ROWS = [
    ("login of anna.k", "edge-07", "10.1.2.3", {"user": "anna.k"}),
    ("login of bert.m", "anna.k", None, None),
    ("a rejected row of anna.k", None, "not an address", None),
]
LOGS = dataset(max_rejected_rows=5, format="json", retention={"keep_days": 1, "keep_at_least": 1})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


@pytest.fixture
def logs(tmp_path: Path) -> str:
    return sqlite_logs(tmp_path / "logs.db", ROWS)


@pytest.fixture
def day(logs: str, store: LocalStore) -> LocalStore:
    """A published day with a rejected row."""
    export(logs, LOGS, DAY, store)
    return store


def erasure(store: LocalStore) -> Erase:
    forms = SubjectForms([Subject.of("user", "anna.k")], "R-1")
    return Erase(Scope(store, forms, {"logs": LOGS}, apply=True))


def _metric(document: dict[str, Any], value: str) -> None:
    document["data_quality_metrics"]["rejected_pct"] = f"<{value}>"


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "a time without a zone": lambda d: d.update(export_timestamp="2026-11-02T00:00:00"),
    "a time that is in no zone": lambda d: d["run"].update(started_at="0001-01-01T00:00:00+14:00"),
    "no number": lambda d: _metric(d, "NaN"),
    "an endless number": lambda d: _metric(d, "1e999"),
    "a number that nothing can store": lambda d: d["validation"]["rules"][0].update(failed=10**30),
    "a name that leads elsewhere": lambda d: d["files"][0].update(path="../../../x.json.gz"),
    "a hash that leads elsewhere": lambda d: d["files"][0].update(sha256="../../x"),
    "a dataset that leads elsewhere": lambda d: d.update(dataset="../../../../x"),
    "a day that leads elsewhere": lambda d: d.update(partition="../../x"),
    "a type that does not exist": lambda d: d["schema"][0].update(type="blob"),
    "no source": lambda d: d["export_config"].update(source=["x"]),
    "a time column that does not exist": lambda d: d["export_config"]["source"].update(
        time_column="x"
    ),
    "a format that does not exist": lambda d: d["files"][0].update(format="xml"),
    "another dataset": lambda d: d.update(dataset="ips"),
}


def changed(store: LocalStore, change: Change) -> None:
    path = store.day_folder("logs", DAY) / MANIFEST_NAME
    document = json.loads(path.read_bytes())
    change(document)
    for mark in ("NaN", "1e999"):
        if f'"<{mark}>"' in json.dumps(document):
            path.write_bytes(_sealed(document, mark))
            return
    path.write_bytes(sealed_json(document))


def _sealed(document: dict[str, Any], mark: str) -> bytes:
    """With a number that Python's writer would refuse or round."""
    zeros = "0" * 64
    text = json.dumps({**document, "manifest_sha256": zeros}, indent=2)
    data = text.replace(f'"<{mark}>"', mark).encode()
    return data.replace(zeros.encode(), hashlib.sha256(data).hexdigest().encode())


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_hostile_manifest_is_reported_and_leads_nowhere(
    logs: str, day: LocalStore, tmp_path: Path, change: Change
) -> None:
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(day.root)}
    changed(day, change)
    report, _ = verify_day(day, "logs", DAY)
    assert report.findings
    with suppress(ExporterError):
        open_day(day, "logs", DAY).read_all()
    plan_prune(day, LOGS, dt.date(2026, 12, 1), dt.datetime.now(dt.UTC))
    run = erasure(day)
    list(run.run())
    assert {each.day for each in run.problems} == {DAY}
    export(logs, LOGS, DAY, day)
    assert verify_day(day, "logs", DAY)[0].findings == []
    after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(day.root)}
    assert after == before


def _rows(document: dict[str, Any], more: int) -> None:
    """Another number of rows, wherever it is stated."""
    for part, name in (
        (document, "record_count"), (document["files"][0], "record_count"),
        (document["counts"], "exported"), (document["counts"], "read"),
    ):  # fmt: skip
        part[name] += more
    _state_metrics(document)


def _state_metrics(document: dict[str, Any]) -> None:
    """Those that follow from the counts."""
    counts, metrics = document["counts"], document["data_quality_metrics"]
    metrics["rejected_pct"] = round(100 * counts["rejected"] / counts["read"], 4)
    metrics["validity_pct"] = round(100 - metrics["rejected_pct"], 4)
    for column in document["schema"]:
        pct = completeness_pct(column["null_count"], document["record_count"])
        metrics[f"completeness_pct.{column['name']}"] = pct


def _rejected(document: dict[str, Any], more: int) -> None:
    for part, name in (
        (document["quarantine"], "record_count"), (document["counts"], "rejected"),
        (document["counts"], "read"),
    ):  # fmt: skip
        part[name] += more


LIES: dict[str, Change] = {
    "a row more": lambda d: _rows(d, 1),
    "a row less": lambda d: _rows(d, -1),
    "countless rows": lambda d: _rows(d, 10**15),
    "a rejected row more": lambda d: _rejected(d, 1),
    "a time column that is a number": lambda d: d["export_config"]["source"].update(
        time_column="id"
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_erasure_publishes_no_day_whose_manifest_is_not_true(
    logs: str, day: LocalStore, lie: Change
) -> None:
    changed(day, lie)
    before = day.read_manifest("logs", DAY)
    run = erasure(day)
    list(run.run())
    assert {each.day for each in run.problems} == {DAY}
    assert day.read_manifest("logs", DAY) == before


@pytest.mark.parametrize("lie", ["a row more", "a row less"])
def test_who_reads_a_day_gets_the_rows_of_its_manifest_or_an_error(
    day: LocalStore, lie: str
) -> None:
    changed(day, LIES[lie])
    with pytest.raises(PublishedDayDamagedError, match="rows instead of"):
        open_day(day, "logs", DAY).read_all()
    assert "rows_differ" in {found.kind for found in verify_day(day, "logs", DAY)[0].findings}


@pytest.mark.parametrize("place", [f"logs/data/date={DAY}", "logs/data"])
def test_an_erasure_says_what_it_did_not_search_since_it_is_a_link(
    day: LocalStore, tmp_path: Path, place: str
) -> None:
    """A glob follows it, so whoever reads the files still finds the subject."""
    (day.root / place).rename(tmp_path / "elsewhere")
    (day.root / place).symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.joinpath("elsewhere").rglob("*"))
    run = erasure(day)
    list(run.run())
    assert any("symbolic link" in each.reason for each in run.problems), run.problems
    assert sorted(tmp_path.joinpath("elsewhere").rglob("*")) == before


def test_an_erasure_says_that_a_day_without_its_manifest_was_not_searched(day: LocalStore) -> None:
    (day.day_folder("logs", DAY) / MANIFEST_NAME).unlink()
    run = erasure(day)
    list(run.run())
    assert DAY in {each.day for each in run.problems}


def test_other_files_of_a_dataset_that_cannot_be_used_count_as_damaged(
    logs: str, day: LocalStore
) -> None:
    """The line of another day, and an entry, whose times cannot be compared with any other."""
    changes, ledger = day.root / "logs" / CHANGES_FILE, ledger_file(day.root, "logs", DAY)
    line = json.loads(changes.read_bytes().splitlines()[0])
    naive = {**line, "day": "2026-10-31", "at": "2026-11-01T00:00:00"}
    changes.write_bytes(changes.read_bytes() + json.dumps(naive).encode() + b"\n")
    entry = json.loads(ledger.read_bytes().splitlines()[-1])
    with ledger.open("a") as file:
        file.write(json.dumps({**entry, "at": "2026-11-01T00:00:00"}) + "\n")
        file.write(json.dumps({**entry, "rows": 10**5}).replace("100000", "9" * 5000) + "\n")
    export(logs, dataset(max_rejected_rows=6), DAY, day)
    assert b"2026-10-31" not in changes.read_bytes()
    plan_prune(day, LOGS, dt.date(2026, 12, 1), dt.datetime.now(dt.UTC))
    assert day.read_ledger("logs", DAY)[1] == 2


def _link(place: Path) -> None:
    place.symlink_to("/etc")


def _pipe(place: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("plant", [_link, _pipe, Path.mkdir], ids=["link", "pipe", "folder"])
@pytest.mark.parametrize(
    "place",
    [
        f"logs/quarantine/date={DAY}/logs-{DAY}.x.jsonl",
        "logs/quarantine/date=2026-11-02",
        "logs/.replaced/date=2026-11-02.0123456789abcdef",
        f"logs/data/date={DAY}/{MANIFEST_NAME}",
    ],
)
def test_what_lies_where_an_export_should_does_not_end_an_erasure(
    day: LocalStore, place: str, plant: Callable[[Path], object]
) -> None:
    path = day.root / place
    path.parent.mkdir(exist_ok=True, parents=True)
    path.unlink(missing_ok=True)
    plant(path)
    run = erasure(day)
    found = list(run.run())
    is_published = not place.endswith(MANIFEST_NAME)
    assert any(each.place == "export" for each in found) == is_published
    assert run.problems or path.is_dir() or is_published


@pytest.mark.parametrize(
    "line",
    ["[1]", "null", '{"_reasons": 5}', '{"_reasons": ["x"]}', "[" * 5000, '{"id": {"a": 1}}'],
)
def test_any_line_in_a_file_of_rejected_rows_is_searched(day: LocalStore, line: str) -> None:
    file = day.root / "logs" / "quarantine" / f"date={DAY}" / f"logs-{DAY}.held-1.jsonl.gz"
    file.write_bytes(gzip.compress(f'{line}\n{{"device": "anna.k"}}\n'.encode()))
    run = erasure(day)
    assert {each.place for each in run.run()} >= {"rejected rows"} or not file.exists()
    assert run.problems == []
    assert not file.exists()


def hostile_set(**changes: Any) -> bytes:
    document: dict[str, Any] = {
        "name": "windows", "description": "", "data_version": "0" * 64, "code_version": "1",
        "built_at": "2026-11-02T00:00:00Z", "config": {}, "inputs": {}, "left_out_days": {},
        "rows_read": 1, "rows_left_out": {}, "labels": {}, "columns": [], "templates": 1,
        "splits": {}, "checks": [],
    }  # fmt: skip
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"data_version": "/../../../.."},
        {"built_at": "2026-11-02T00:00:00"},
        {"left_out_days": {"../x": "why"}},
        {"inputs": {"../x": {DAY: "v"}}},
        {"inputs": {"logs": {"../x": "v"}}},
        {"other_files": [{"path": "x", "size_bytes": 1, "sha256": "../../x"}]},
        {"other_files": [{"path": "x", "size_bytes": -1, "sha256": "0" * 64}]},
    ],
)
def test_a_training_set_with_values_that_lead_elsewhere_is_none(changes: dict[str, Any]) -> None:
    assert TrainingManifest.if_readable(hostile_set())
    assert TrainingManifest.if_readable(hostile_set(**changes)) is None


def test_no_path_and_no_link_leads_out_of_a_training_set(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = store.root / "training_sets" / "windows" / "v-000000000000"
    folder.mkdir(parents=True)
    (folder / "data").symlink_to(tmp_path)
    (folder / "file").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    version = store.versions("windows").version("000000000000")
    assert version
    assert version.names() == []
    for path in (
        str(tmp_path / "secret"), "data/secret", "file", "pipe", "../../../../secret", "./x", "",
    ):  # fmt: skip
        for read in (version.open, version.size):
            with pytest.raises(OSError, match=r"."):
                read(path)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert store.versions("windows").version("000000000000") is None


def _set_with(store: LocalStore, manifest: bytes | None, **columns: list[Any]) -> Path:
    """A version of a training set."""
    folder = store.root / "training_sets" / "windows" / f"v-{'0' * 12}"
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "data" / "train-00000.parquet")
    if manifest:
        (folder / MANIFEST_NAME).write_bytes(manifest)
    return folder


def test_a_training_set_is_searched_for_numbers_but_not_for_keys_and_labels(
    day: LocalStore,
) -> None:
    columns = {"id": [4711], "label": [4711], "badge": [1], "message": ["x"]}
    folder = _set_with(day, hostile_set(inputs={"logs": {DAY: "v"}}), **columns)
    forms = SubjectForms([Subject.of("user", "4711")], "R-1")
    for _ in range(2):
        run = Erase(Scope(day, forms, {"logs": LOGS}, apply=True))
        assert [each.place for each in run.run()] == []
        assert run.problems == []
    pq.write_table(pa.table({**columns, "badge": [4711]}), folder / "data" / "train-00000.parquet")
    assert [each.place for each in Erase(run.scope).run()] == ["training set"]
    assert not folder.exists()


def test_a_training_set_whose_manifest_is_damaged_is_not_called_searched(day: LocalStore) -> None:
    _set_with(day, b"{}", message=["user-0123456789abcdef0123"])
    run = erasure(day)
    list(run.run())
    [problem] = run.problems
    assert "has no _manifest.json that can be read" in problem.reason


def test_a_long_text_with_many_subjects_takes_no_longer_than_its_length() -> None:
    known = KnownSubjects()
    known.add(Subject.of("user", "anna.k"), "R")
    text = "anna.k anna.k@firma.test " * 4000
    before = time.process_time()
    assert "anna" not in SubjectSearch(known).without(text)[0]
    assert time.process_time() - before < 10


def test_an_output_folder_that_is_a_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [found] = LocalStore(tmp_path / "file").structure("logs").misplaced
    assert (found.kind, found.path) == ("foreign", "logs")


def test_a_manifest_of_this_version_is_read_as_before(day: LocalStore) -> None:
    data = day.read_manifest("logs", DAY)
    assert data
    assert Manifest.from_json(data).to_json() == data
