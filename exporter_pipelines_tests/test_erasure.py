"""`exporter erase`: a subject is gone from every byte, stays gone, and nothing else changes."""

from __future__ import annotations

import errno
import gzip
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.changes import CHANGES_FILE
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.erase import Erase
from exporter_pipelines.engine.erase_scope import Found, Scope
from exporter_pipelines.engine.kept_days import keep_days
from exporter_pipelines.engine.retention import Removal, remove
from exporter_pipelines.engine.subject_forms import SubjectForms
from exporter_pipelines.errors import ConfigurationError, SupersededError
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.privacy.subject_lookup import HashedSubjects, KnownSubjects, Tombstone
from exporter_pipelines.privacy.subject_search import SubjectSearch
from exporter_pipelines.privacy.subjects import Subject
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines.verification.privacy import verify_privacy
from exporter_pipelines.verification.report import VerifyReport
from exporter_pipelines.verification.source import compare_day
from exporter_pipelines_tests.support import training
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.datasets import (
    databases,
    dataset,
    export,
    outcome_of,
    rejected,
)
from exporter_pipelines_tests.support.datasets import rows as parsed_rows
from exporter_pipelines_tests.support.erasures import World
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.private_days import (
    DAY,
    KEY,
    KEY_NAME,
    OTHER_KEY,
    POLICY,
    private,
    sqlite_logs,
)
from exporter_pipelines_tests.support.unpacked import everything_below, unpacked

TRAINING_MANIFEST = json.dumps({
    "name": "windows", "description": "", "data_version": "0" * 64, "code_version": "1",
    "built_at": "2026-11-02T00:00:00Z", "config": {}, "inputs": {}, "left_out_days": {},
    "rows_read": 1, "rows_left_out": {}, "labels": {}, "columns": [], "templates": 1,
    "splits": {}, "checks": [],
}).encode()  # fmt: skip

# (message, device, ip, attributes)
ROWS: list[tuple[str, str | None, str | None, Any]] = [
    ("login of anna.k from 10.1.2.3:8080", "edge-07", "10.1.2.3", {"user": "anna.k", "n": 1.50}),
    ("nothing to see here", "edge-08", "10.1.2.4", {"user": "bert.m"}),
    ("10.1.2.3 was refused, 10.1.2.30 was not", "edge-09", "10.1.2.5", {"user": "bert.m"}),
    ("mail to anna.k@firma.test%20and anna%2ek", "edge-09", None, {"anna.k": {"x": ["anna.k"]}}),
    ("the annak.example host", None, None, {"q": "anna\u002ek", "big": 12345678901234567}),
    ("ANNA.K again, and xanna.k", "anna.k", None, None),
    ("a rejected row of anna.k", None, "not an address", {"user": "anna.k"}),
    ("another rejected row", None, "neither", {"user": "bert.m"}),
    ('quoted {"a": "b\\n10.1.2.3"} ::ffff:10.1.2.3', None, "2001:db8::1", [1, 2, "Anna.K"]),
    ("gw of Jürgen.Müller", "gw-münchen", "10.1.2.9", {"user": "JÜRGEN.MÜLLER"}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


@pytest.fixture
def logs(tmp_path: Path) -> str:
    """URL of a database with these rows."""
    return sqlite_logs(tmp_path / "logs.db", ROWS)


def erased(
    store: LocalStore,
    *datasets: Dataset,
    kind: Any = "user",
    value: str = "anna.k",
    request: str = "R-1",
    apply: bool = True,
    whole_rows: bool = False,
) -> list[Found]:
    """Erase a subject; nothing may remain unsearched."""
    run = erase_of(store, *datasets, kind=kind, value=value, request=request, apply=apply,
                   whole_rows=whole_rows)  # fmt: skip
    found = list(run.run())
    assert run.problems == []
    return found


def erase_of(
    store: Store, *datasets: Dataset, kind: Any, value: str, request: str = "R-1",
    apply: bool = True, whole_rows: bool = False,
) -> Erase:  # fmt: skip
    subjects = [Subject.of(kind, each) for each in value.split("|")]
    forms = SubjectForms(subjects, request, whole_rows)
    return Erase(Scope(store, forms, {each.name: each for each in datasets}, apply))


def lines_of(store: LocalStore, manifest: Manifest) -> list[bytes]:
    folder = store.day_folder(manifest.dataset, manifest.partition)
    return [
        line
        for file in manifest.files
        for line in gzip.decompress((folder / file.path).read_bytes()).splitlines()
    ]


def published(store: LocalStore, name: str = "logs", day: str = DAY) -> Manifest:
    manifest = Manifest.from_json(store.read_manifest(name, day) or b"")
    report, verified = verify_day(store, name, day)
    assert report.findings == []
    assert verified == manifest
    return manifest


def raw(**changes: Any) -> Dataset:
    return dataset(max_rejected_rows=5, **changes)


def named(exported: Dataset, name: str) -> Dataset:
    """The same dataset in another folder, like a preset."""
    config = exported.config.model_copy(update={"name": name})
    return Dataset(config, load_row_schema(config.row_schema))


def compared(url: str, store: LocalStore, exported: Dataset, manifest: Manifest) -> list[str]:
    report = VerifyReport(exported.name, manifest.partition)
    with databases(url) as session:
        compare_day(store, exported, manifest, session, report)
    return [f"{each.kind} {each.message}" for each in report.findings]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_subject_is_gone_from_every_byte_and_other_rows_stay(
    logs: str, store: LocalStore, format_: str
) -> None:
    exported = raw(format=format_, max_file_records=3, compression="zstd")
    before = export(logs, exported, DAY, store)
    rows_before = _by_id(store, exported)
    [found] = erased(store, exported)
    after = published(store)
    text = everything_below(store.root)
    for spelling in ("anna.k ", "anna.k@", "anna%2ek", 'anna.k"', "anna.k'", "'anna.k", '"anna.k'):
        assert spelling not in text.replace("xanna.k", ""), spelling
    assert "bert.m" in text
    assert (found.place, found.rows, found.values) == ("export", 2, 6)
    assert after.counts.erased == 2
    assert after.counts.read == before.counts.read
    assert after.data_version != before.data_version
    [entry] = after.erasure
    assert (entry.request, entry.rows, entry.values) == ("R-1", 2, 6)
    rows_after = _by_id(store, exported)
    assert set(rows_before) - set(rows_after) == {6}
    assert rows_after[2] == rows_before[2]
    assert rows_after[3] == rows_before[3]
    assert rows_after[10] == rows_before[10]
    assert rows_after[1]["message"] == "login of [redacted] from 10.1.2.3:8080"
    assert json.loads(rows_after[4]["attributes"]) == {"[redacted]": {"x": ["[redacted]"]}}
    assert rows_after[5]["attributes"].replace(" ", "") == (
        '{"q":"[redacted]","big":12345678901234567}'
    )
    assert compared(logs, store, exported, after) == []


def _by_id(store: LocalStore, exported: Dataset) -> dict[int, dict[str, Any]]:
    from exporter_pipelines.engine.load import open_day

    rows = open_day(store, exported.name, DAY).read_all().to_pylist()
    return {row["id"]: row for row in rows}


def test_untouched_rows_keep_their_bytes(logs: str, store: LocalStore) -> None:
    exported = raw()
    lines = lines_of(store, export(logs, exported, DAY, store))
    erased(store, exported, kind="ip", value="10.1.2.3")
    after = lines_of(store, published(store))
    kept = [line for line in lines if b"10.1.2.3" not in line or b'"id":3,' in line]
    assert [line for line in after if b"[redacted]" not in line] == [
        line for line in kept if b'"id":3,' not in line
    ]
    assert b'"message":"[redacted] was refused, 10.1.2.30 was not"' in after[1]


def test_an_erased_subject_stays_out_of_later_exports(
    logs: str, store: LocalStore, tmp_path: Path
) -> None:
    exported = raw()
    export(logs, exported, DAY, store)
    erased(store, exported)
    after = published(store)
    again = export(logs, exported, DAY, store)
    assert again.data_version == after.data_version
    assert (again.counts, again.erasure) == (after.counts, after.erasure)
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute(
            f"INSERT INTO logs VALUES (99, '{DAY}T20:00:00Z', 'INFO', 'late', 'sshd', 'anna.k',"
            " NULL, NULL)"
        )
        connection.execute(
            f"INSERT INTO logs VALUES (100, '{DAY}T20:00:01Z', 'INFO', 'late', 'sshd', 'edge-10',"
            " NULL, NULL)"
        )
    late = export(logs, exported, DAY, store)
    assert (late.counts.read, late.counts.erased) == (12, 3)
    assert compared(logs, store, exported, late) == []
    other = named(raw(), "logs_errors")
    export(logs, other, DAY, store)
    published(store, "logs_errors")
    assert 'anna.k"' not in everything_below(store.root)
    assert [json.loads(line)["reason"] for line in _changes(store)] == [
        "first_export", "erasure", "late_data",
    ]  # fmt: skip


def _changes(store: LocalStore, name: str = "logs") -> list[bytes]:
    return (store.root / name / CHANGES_FILE).read_bytes().splitlines()


@pytest.mark.parametrize(("kind", "value"), [("user", "anna.k"), ("ip", "10.1.2.3")])
def test_pseudonyms_are_erased_in_every_epoch_and_stay_away(
    logs: str, store: LocalStore, kind: str, value: str
) -> None:
    exported = private(max_rejected_rows=5)
    raw_logs = named(raw(), "logs_raw")
    before = export(logs, exported, DAY, store)
    export(logs, raw_logs, DAY, store)
    pseudonym = _by_id(store, exported)[1]["ip" if kind == "ip" else "device"]
    found = erased(store, exported, raw_logs, kind=kind, value=value)
    assert [each.dataset for each in found] == ["logs", "logs_raw"]
    assert found[0].rows == found[1].rows
    after = published(store)
    assert after.counts.erased == found[0].rows
    if kind == "ip":
        assert f'"{pseudonym}"' not in everything_below(store.root / "logs")
    again = export(logs, exported, DAY, store)
    assert again.data_version == after.data_version
    assert again.counts == after.counts
    assert before.data_version != again.data_version
    assert compared(logs, store, exported, again) == []
    for manifest in (after, again):
        report = VerifyReport("logs", DAY)
        verify_privacy(store, exported, manifest, report)
        assert report.findings == []
    changed = private(max_rejected_rows=5, privacy={"epoch": "month"})
    export(logs, changed, DAY, store)
    month = published(store)
    assert month.counts.erased == after.counts.erased
    assert erased(store, changed, raw_logs, kind=kind, value=value, apply=False) == []


def test_rejected_rows_are_searched_and_counted(logs: str, store: LocalStore) -> None:
    exported = raw()
    before = export(logs, exported, DAY, store)
    assert before.counts.rejected == 2
    erased(store, exported, kind="user", value="bert.m")
    after = published(store)
    assert after.counts.rejected == 1
    assert "bert.m" not in json.dumps(rejected(store, after))
    assert "anna.k" in json.dumps(rejected(store, after))


@pytest.mark.parametrize(
    ("kind", "value", "text", "left"),
    [
        ("user", "CORP\\anna", r'["CORP\\anna", "CORP\\annab"]', r'["[redacted]", "CORP\\annab"]'),
        ("user", "anna s. o'neil", '{"by Anna S. O\'Neil": 1}', '{"by [redacted]": 1}'),
        ("user", "4711", '[4711, 47110, "no 4711"]', '["[redacted]", 47110, "no [redacted]"]'),
        ("host", "db-1.corp", '["db-1.corp.", "xdb-1.corp"]', '["[redacted].", "xdb-1.corp"]'),
        ("email", "ann@firma.test", '{"ann@firma.test": 1, "ANN@firma.test": 2}', '"[redacted]"'),
        ("mac", "aa:bb:cc:dd:ee:01", '["AA-BB-CC-DD-EE-01"]', '["[redacted]"]'),
        ("mac", "aa:bb:cc:dd:ee:01", '["aabb.ccdd.ee01", 1]', '["[redacted]", 1]'),
        ("mac", "aa:bb:cc:dd:ee:01", '["to aabbccddee01"]', '["to [redacted]"]'),
        ("user", "müller", '["M\\u00fcller", "MU\u0308LLER"]', '["[redacted]", "[redacted]"]'),
        ("ip", "2001:db8::7", '["[2001:DB8:0:0::7]:443"]', '["[[redacted]]:443"]'),
    ],
)  # fmt: skip
def test_subjects_in_json(kind: Any, value: str, text: str, left: str) -> None:
    known = KnownSubjects()
    known.add(Subject.of(kind, value), "R")
    secret = b"k" * 32
    tombstone = Tombstone(Subject.of(kind, value).tombstone(secret, "1"), secret, "R")
    for subjects in (known, HashedSubjects([tombstone])):
        search = SubjectSearch(subjects)
        assert search.candidates(pa.array(["[1]", text, None]), in_json=True) == [1]
        assert search.without_in_json(text) == (left, "R")


def test_rejected_rows_that_retention_removed_stop_nothing(logs: str, store: LocalStore) -> None:
    exported = raw()
    export(logs, exported, DAY, store)
    generation = store.generation("logs", DAY)
    assert remove(store, Removal("logs", DAY, "quarantine", generation, 1, "keep_quarantine_days"))
    [found] = erased(store, exported)
    assert found.rows == 1
    assert published(store).counts.erased == 1


def test_damaged_rejected_rows_and_settings_are_reported(logs: str, store: LocalStore) -> None:
    filters = [{"name": "anna", "column": "device", "op": "ne", "value": "anna.k"}]
    exported = raw(filters=filters)
    export(logs, exported, DAY, store)
    run = erase_of(store, exported, kind="user", value="anna.k")
    assert [found.place for found in run.run()] == ["export"]
    assert "Its settings have the subject" in run.problems[0].reason
    export(logs, raw(), DAY, store)
    [file] = (store.root / "logs" / "quarantine" / f"date={DAY}").iterdir()
    file.write_bytes(b"no gzip")
    run = erase_of(store, exported, kind="user", value="bert.m")
    assert list(run.run()) == []
    assert "cannot be unpacked" in run.problems[0].reason


def test_whole_rows_are_removed_on_request(logs: str, store: LocalStore) -> None:
    exported = raw()
    export(logs, exported, DAY, store)
    [found] = erased(store, exported, whole_rows=True)
    after = published(store)
    assert found.values == 0
    assert {row["id"] for row in parsed_rows(store, after)} == {2, 3, 10}
    again = export(logs, exported, DAY, store)
    assert again.data_version == after.data_version
    assert compared(logs, store, exported, again) == []


def test_a_request_for_whole_rows_counts_more_than_one_before(logs: str, store: LocalStore) -> None:
    exported = private(max_rejected_rows=5)
    export(logs, exported, DAY, store)
    erased(store, exported, request="R-0")
    assert published(store).erasure[0].values > 0
    erased(store, exported, whole_rows=True)
    again = export(logs, exported, DAY, store)
    [entry] = again.erasure
    assert (entry.request, entry.values) == ("R-1", 0)


def test_a_dry_run_changes_nothing(logs: str, store: LocalStore) -> None:
    exported = raw()
    export(logs, exported, DAY, store)
    before = everything_below(store.root)
    [found] = erased(store, exported, apply=False)
    assert found.rows == 2
    assert everything_below(store.root) == before


def test_an_old_key_must_be_set(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = private(max_rejected_rows=5)
    export(logs, exported, DAY, store)
    monkeypatch.setenv(KEY_NAME, OTHER_KEY)
    run = erase_of(store, exported, kind="user", value="anna.k")
    assert list(run.run()) == []
    assert "is not that in EXPORTER_PRIVACY_KEY" in run.problems[0].reason
    monkeypatch.setenv(f"{KEY_NAME}_PREVIOUS", KEY)
    [found] = erased(store, exported)
    assert found.rows > 0
    # The tombstone is under the new key: an export under the old one does not find it.
    monkeypatch.delenv(f"{KEY_NAME}_PREVIOUS")
    monkeypatch.setenv(KEY_NAME, KEY)
    with pytest.raises(ConfigurationError, match="EXPORTER_PRIVACY_KEY_PREVIOUS"):
        export(logs, exported, DAY, store)


def test_held_days_and_replaced_exports_are_searched(
    logs: str, store: LocalStore, tmp_path: Path
) -> None:
    exported = raw(max_lost_rows=100)
    export(logs, exported, DAY, store)
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("DELETE FROM logs WHERE id IN (1, 4, 5, 6, 7, 9)")
    export(logs, exported, DAY, store)
    assert len(store.replaced_exports("logs")) == 1
    [found] = erased(store, exported)
    assert found.place == "replaced export"
    assert store.replaced_exports("logs") == []
    assert "anna.k" not in everything_below(store.root)


def test_a_stopped_erasure_is_finished_by_the_next_one(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = raw(), named(raw(), "logs_errors")
    for each in (first, second):
        export(logs, each, DAY, store)
    switch = LocalStore.switch

    def stopped(self: LocalStore, staging: Any, publication: Any) -> None:
        if staging.dataset == "logs_errors":
            raise KeyboardInterrupt
        switch(self, staging, publication)

    monkeypatch.setattr(LocalStore, "switch", stopped)
    with pytest.raises(KeyboardInterrupt):
        erased(store, first, second)
    assert published(store).counts.erased == 2
    assert published(store, "logs_errors").counts.erased == 0
    monkeypatch.undo()
    monkeypatch.setenv(KEY_NAME, KEY)
    [found] = erased(store, first, second)
    assert found.dataset == "logs_errors"
    assert published(store, "logs_errors").counts.erased == 2


def test_an_export_that_began_before_publishes_nothing(logs: str, store: LocalStore) -> None:
    exported = raw()
    with pytest.raises(SupersededError, match="A subject was erased while"):
        export(logs, exported, DAY, store, before_publish=lambda: erased(store, exported))
    assert store.read_manifest("logs", DAY) is None
    assert export(logs, exported, DAY, store).counts.erased == 2


@pytest.mark.parametrize("is_private", [False, True])
def test_rows_that_also_leave_the_source_are_no_loss(
    logs: str, store: LocalStore, tmp_path: Path, is_private: bool
) -> None:
    limits = {"max_rejected_rows": 5, "max_lost_rows": 0, "max_lost_pct": 0.0}
    hashed = {
        "columns": {**POLICY["columns"], "id": {"action": "hash"}},
        "keep": POLICY["keep"][1:],
    }
    exported = private(privacy=hashed, **limits) if is_private else dataset(**limits)
    export(logs, exported, DAY, store)
    erased(store, exported, whole_rows=True)
    number = published(store).counts.erased
    assert number > 4
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("DELETE FROM logs WHERE id IN (1, 4, 5, 6, 7)")
    outcome = outcome_of(logs, exported, DAY, store)
    assert outcome.reasons == []
    # One more row is gone, which no one has asked for.
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("DELETE FROM logs WHERE id = 2")
    assert "gone from the source" in " ".join(outcome_of(logs, exported, DAY, store).reasons)


def test_a_hold_and_the_decision_to_keep_the_export_stay(
    logs: str, store: LocalStore, tmp_path: Path
) -> None:
    exported = raw(max_lost_rows=0, max_lost_pct=0.0)
    export(logs, exported, DAY, store)
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("DELETE FROM logs WHERE id = 2")
    assert outcome_of(logs, exported, DAY, store).reasons
    erased(store, exported)
    assert day_record(store, "logs", DAY).last_hold is not None
    keep_days(store, "logs", [DAY])
    erased(store, exported, value="bert.m", request="R-2")
    assert outcome_of(logs, exported, DAY, store).kept
    assert [entry.request for entry in published(store).erasure] == ["R-1", "R-2"]


def test_subjects_are_gone_everywhere_and_stay_away(tmp_path: Path) -> None:
    world = World(tmp_path, subjects=6, days=2, per_day=40, everyone=30)
    world.export_all()
    before = world.snapshot()
    assert world.left() != []
    assert world.erase() == []
    assert (world.left(), world.damage()) == ([], [])
    assert world.changed_rows(before, world.snapshot()) == []
    erased_rows = world.erased_rows()
    world.export_all()
    assert (world.left(), world.erased_rows()) == ([], erased_rows)
    for day in world.partitions:
        world.add(day, 20)
    world.export_all()
    assert (world.left(), world.damage()) == ([], [])
    assert world.erased_rows() > erased_rows


def test_training_sets_with_a_subject_are_removed(tmp_path: Path, store: LocalStore) -> None:
    training.fill(tmp_path / "app.db", devices=12, per_day=4)
    training.publish(tmp_path / "app.db", store)
    settings = training.config(training.ROWS)
    built = training.build(settings, store)
    found = erased(store, raw(), dataset("anomalies"), kind="ip", value="10.9.3.2")
    assert {each.place for each in found} == {"export", "training set"}
    versions = store.versions("rows")
    assert versions.stored() == []
    assert versions.newest_was_removed()
    again = training.build(settings, store)
    assert again.manifest.data_version != built.manifest.data_version
    text = everything_below(store.root / "training_sets")
    assert "10.9.3.2" not in text
    assert "10.9.3.1" in text


def test_a_version_that_another_erasure_has_removed_leaves_nothing(
    tmp_path: Path, store: LocalStore
) -> None:
    training.fill(tmp_path / "app.db", devices=12, per_day=4)
    training.publish(tmp_path / "app.db", store)
    built = training.build(training.config(training.ROWS), store)
    versions, version = store.versions("rows"), built.manifest.data_version[:12]
    assert versions.stored() == [version]
    for _ in range(2):
        versions.remove(version)
        assert (versions.stored(), versions.unfinished()) == ([], False)


@pytest.mark.parametrize("faster", [False, True], ids=["with a file", "with the folder"])
def test_replaced_exports_that_another_erasure_removes_stop_nothing(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    for _ in range(3):
        export(logs, raw(), DAY, store)
    left = store.root / "logs" / ".superseded"
    assert len(list(left.iterdir())) == 2
    rmtree, met = shutil.rmtree, set[Path]()

    def meets_another(path: Path, **options: Any) -> None:
        if path not in met:
            met.add(path)
            if faster:
                rmtree(path)
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", meets_another)
    store.remove_superseded("logs")
    assert list(left.iterdir()) == []


def test_a_subject_is_erased_from_a_bucket(logs: str, s3: ObjectServer) -> None:
    store = open_bucket(s3)
    exported = private(max_rejected_rows=5)
    raw_logs = named(raw(), "logs_raw")
    for each in (exported, raw_logs):
        export(logs, each, DAY, store)
    killed_build = "training_sets/windows/v-0123456789ab"
    store.bucket.write(f"{killed_build}/README.md", b"card")
    store.bucket.write(f"{killed_build}/_manifest.json", TRAINING_MANIFEST)
    store.bucket.write(f"{killed_build}/sample.jsonl", b'{"device": "anna.k"}')
    first = erase_of(store, exported, raw_logs, kind="user", value="anna.k")
    assert [found.dataset for found in first.run()] == ["logs", "logs_raw", "windows"]
    assert store.bucket.listed("training_sets") == []
    assert first.problems == []
    again = erase_of(store, exported, raw_logs, kind="user", value="anna.k", apply=False)
    assert list(again.run()) == []
    for each in (exported, raw_logs):
        export(logs, each, DAY, store)
    objects = [store.bucket.read(each.key) for each in store.bucket.listed("")]
    text = "\n".join(unpacked(each.content) for each in objects if each)
    assert "anna.k" not in text.replace("xanna.k", "")
    assert "bert.m" in text
