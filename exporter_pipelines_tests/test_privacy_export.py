"""Days under a privacy policy: nothing raw is published, and the leak check holds raw values."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines import extras
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine import waiting_batches
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.errors import ConfigurationError, DayHeldError
from exporter_pipelines.extras import MissingExtraError
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.sources.sqlite.snapshot import SqliteDaySnapshot
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.privacy import verify_privacy
from exporter_pipelines.verification.report import VerifyReport
from exporter_pipelines.verification.source import compare_day
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import databases, dataset, export, rejected
from exporter_pipelines_tests.support.private_days import (
    DAY,
    KEY,
    KEY_NAME,
    OTHER_KEY,
    RAW,
    ROWS,
    everything_below,
    postgres_logs,
    private,
    sqlite_logs,
)
from exporter_pipelines_tests.support.runs import Runner, failure

MESSAGE_KEPT = {"columns": {**private().config.privacy.masked, "message": {"action": "keep"}}}  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


@pytest.fixture
def logs(tmp_path: Path) -> str:
    """URL of a SQLite database with the hostile day."""
    return sqlite_logs(tmp_path / "logs.db")


def rows_of(store: LocalStore, name: str = "logs") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_day(store, name, DAY).read_all().to_pylist()
    return rows


def assert_nothing_raw(store: LocalStore, manifest: Manifest) -> list[dict[str, Any]]:
    rows = rows_of(store)
    assert (len(rows), manifest.counts.rejected) == (len(ROWS) - 1, 1)
    text = everything_below(store.root)
    text += json.dumps(rows, ensure_ascii=False, default=str).lower()
    assert [raw for raw in RAW if raw in text] == []
    [quarantined] = rejected(store, manifest)
    assert quarantined["rejections"][0]["value"] == "[redacted]"
    for row in rows:
        json.loads(row["attributes"] or "null")
    assert manifest.privacy
    assert manifest.privacy.leak_check
    assert manifest.privacy.leak_check.hits == 0
    return rows


@pytest.mark.parametrize("format_", FORMATS)
def test_no_raw_value_is_published(logs: str, store: LocalStore, format_: str) -> None:
    manifest = export(logs, private(format=format_, compression="none"), DAY, store)
    rows = assert_nothing_raw(store, manifest)
    assert "std::vector 12:34:56" in rows[1]["message"]
    assert "version 1.2.3.4.5" in rows[3]["message"]
    assert rows[0]["ip"] in rows[0]["message"]
    assert rows[0]["ip"] in rows[3]["message"]
    assert rows[0]["device"] == rows[3]["device"]


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_postgresql_gives_the_same_pseudonyms(
    backend: Backend, logs: str, store: LocalStore, tmp_path: Path, format_: str
) -> None:
    postgres_logs(backend)
    exported = private(format=format_)
    manifest = export(backend.url, exported, DAY, store)
    rows = assert_nothing_raw(store, manifest)
    other = LocalStore(tmp_path / "other")
    export(logs, exported, DAY, other)
    columns = ("message", "device", "ip")
    assert [[row[c] for c in columns] for row in rows] == [
        [row[c] for c in columns] for row in rows_of(other)
    ]


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_bytes_do_not_depend_on_batches(
    logs: str, store: LocalStore, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = export(logs, private(), DAY, store)
    monkeypatch.setattr(waiting_batches, "ROWS_AT_ONCE", batch_rows)  # each batch is masked alone
    again = export(logs, private(), DAY, store, batch_rows=batch_rows)
    assert again.data_version == first.data_version


def test_a_small_day_is_read_once_and_a_large_one_twice(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    batches = SqliteDaySnapshot.batches

    def counted(self: SqliteDaySnapshot, *args: Any) -> Iterator[pa.RecordBatch]:
        reads.append(args)
        return batches(self, *args)

    monkeypatch.setattr(SqliteDaySnapshot, "batches", counted)
    small = export(logs, private(), DAY, store)
    assert len(reads) == 1
    monkeypatch.setattr(waiting_batches, "MOST_KEPT_BYTES", 500)  # some of the batches fit
    large = export(logs, private(), DAY, store, batch_rows=2)
    assert len(reads) == 3
    assert large.data_version == small.data_version
    assert large.counts == small.counts


def test_a_raw_value_holds_the_day(logs: str, store: LocalStore) -> None:
    with pytest.raises(DayHeldError) as held:
        export(logs, private(privacy=MESSAGE_KEPT), DAY, store)
    reason = str(held.value)
    assert "x ip in message" in reason
    assert "x user in message" in reason
    assert [raw for raw in RAW if raw in reason.lower()] == []
    assert store.read_manifest("logs", DAY) is None
    manifest = export(logs, private(privacy={**MESSAGE_KEPT, "leak_check": "warn"}), DAY, store)
    assert manifest.privacy
    assert manifest.privacy.leak_check
    assert manifest.privacy.leak_check.hits > 5


def test_ordinary_and_short_names_hold_no_day(tmp_path: Path, store: LocalStore) -> None:
    rows = [("admin web message root level 4711", "web", None, {"user": user})
            for user in ("admin", "root", "4711", "bo", "Admin")]  # fmt: skip
    manifest = export(sqlite_logs(tmp_path / "l.db", rows), private(), DAY, store)
    [row, *_] = rows_of(store)
    assert row["message"] == "admin web message root level 4711"
    assert row["attributes"].startswith('{"user": "user-')
    assert manifest.privacy
    assert manifest.privacy.leak_check
    assert manifest.privacy.leak_check.not_searched == 6


def test_a_missing_or_unusable_key_stops_the_export(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, said in (
        ("", "is not set"),
        ("c2hvcnQ=", "has 5 bytes; at least 32 are needed"),
        ("!" * 50, "is not base64"),
        ("A" * 64, "is not random"),
    ):
        monkeypatch.setenv(KEY_NAME, value)
        with pytest.raises(ConfigurationError, match=said) as error:
            export(logs, private(), DAY, store)
        assert not value or value not in str(error.value)
    with monkeypatch.context() as patched:
        patched.setitem(extras.EXTRAS, "privacy", ("a_package_that_is_not_there",))
        with pytest.raises(MissingExtraError, match="extra 'privacy'"):
            export(logs, private(), DAY, store)
        assert export(logs, dataset(), DAY, store).record_count == len(ROWS) - 1
    assert [raw for raw in RAW if raw in everything_below(store.root)] != []


def test_the_key_may_be_in_a_file(logs: str, store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    same = private(privacy={"key": f"file:{tmp_path}/key"})
    first, again = export(logs, private(), DAY, store), export(logs, same, DAY, store)
    assert first.privacy == again.privacy
    assert first.data_version == again.data_version


def test_pseudonyms_depend_on_key_epoch_and_scope(
    logs: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def address(**privacy: Any) -> str:
        export(logs, private(privacy=privacy), DAY, store)
        return str(rows_of(store)[0]["ip"])

    found = [address(), address(epoch="month"), address(epoch="2026-b"), address(scope="dataset"),
             address(addresses="whole"), address(addresses="token")]  # fmt: skip
    monkeypatch.setenv(KEY_NAME, OTHER_KEY)
    found.append(address())
    assert len(set(found)) == len(found)
    assert found[5].startswith("ip-")


def test_nothing_that_is_stored_can_be_guessed(logs: str, store: LocalStore) -> None:
    exported = private(source={"key": "device"}, filters=[
        {"name": "one", "column": "ip", "op": "eq", "value": "10.1.2.3"}])  # fmt: skip
    manifest = export(logs, exported, DAY, store)
    assert manifest.record_count == 1
    text = everything_below(store.root)
    guesses = {hashlib.sha256(f"{count}|{name}".encode()).hexdigest()[:32]
               for count in range(20) for name in ("edge-07", "gw-münchen", "Edge-07")}  # fmt: skip
    assert not [guess for guess in guesses if guess in text]
    assert "10.1.2.3" not in text
    assert manifest.export_config["filters"][0]["value"] == "[redacted]"


def test_rows_of_one_time_are_in_the_order_of_what_is_published(
    tmp_path: Path, store: LocalStore
) -> None:
    rows = [(f"row {n}", f"host-name-{n:03}", None, None) for n in range(200)]
    coarse = {"timestamp": {"action": "generalise", "to": "minute"}}
    columns = {**private().config.privacy.masked, **coarse}  # type: ignore[union-attr]
    exported = private(source={"key": "device"}, privacy={"columns": columns})
    url = sqlite_logs(tmp_path / "l.db", rows)
    versions = {export(url, exported, DAY, store, batch_rows=n).data_version for n in (7, 60, 1000)}
    assert len(versions) == 1
    found = [(row["timestamp"], row["device"]) for row in rows_of(store)]
    assert found == sorted(found)
    assert len({time for time, _ in found}) == 4


def test_verification_knows_the_policy(
    logs: str, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def findings(*, source: bool) -> list[str]:
        report = VerifyReport("logs", DAY)
        manifest = Manifest.from_json(store.read_manifest("logs", DAY) or b"")
        if source:
            with databases(logs) as session:
                compare_day(store, exported, manifest, session, report)
        else:
            verify_privacy(store, exported, manifest, report)
        return [finding.kind for finding in report.findings]

    exported = private()
    export(logs, exported, DAY, store)
    assert findings(source=False) == findings(source=True) == []
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("UPDATE logs SET message = 'other' WHERE id = 3")
    connection.close()
    assert findings(source=True) == ["source_changed"]
    monkeypatch.setenv(KEY_NAME, OTHER_KEY)
    assert findings(source=True) == ["source_privacy"]
    export(logs, private(privacy={**MESSAGE_KEPT, "leak_check": "warn"}), DAY, store)
    assert findings(source=False) == []  # the policy keeps the column
    export(logs, dataset(), DAY, store)
    assert findings(source=False) == ["privacy_missing"]


def test_dagster_has_the_check_and_no_raw_value(
    settings: dict[str, str], logs: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXPORTER_SOURCE_URL", logs)
    runner = Runner([private()])
    days = [(DAY, ""), (DAY, "2026-11-02")]
    for first, last in days:
        result = runner.run("logs", first, last)
        assert result.success
        found = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
        assert found["no_raw_identifiers"]
    leaking = Runner([private(privacy=MESSAGE_KEPT)], instance=runner.instance)
    for first, last in days:
        result = leaking.run("logs", first, last)
        assert not result.success
        assert "x ip in message" in failure(result)
        events = "\n".join(str(event) for event in result.all_events).lower()
        assert "no_raw_identifiers" in events
        assert [raw for raw in RAW if raw in events] == []
    assert [raw for raw in RAW if raw in everything_below(tmp_path / "exports")] == []


def test_datasets_can_be_joined_and_moved_rows_hold_no_day(
    backend: Backend, store: LocalStore
) -> None:
    postgres_logs(backend)
    backend.run(
        f"""INSERT INTO ip_addresses VALUES
        (1, '10.1.2.3', '{DAY}T01:00Z', '{DAY}T02:00Z', 5, 'de', '["10.1.2.3"]'),
        (2, '2001:db8::77', '{DAY}T01:00Z', '{DAY}T03:00Z', 5, 'de', NULL)"""
    )
    backend.run(
        f"""INSERT INTO anomalies VALUES (1, '{DAY}T02:00Z', 'burst', 0.5, 'high', 'new', 1,
        '10.1.2.3', '{{"why": "many from 2001:db8::77"}}')"""
    )
    address = {"action": "pseudonym", "kind": "ip"}
    ips = dataset("ips", privacy={
        "columns": {"address": address, "labels": {"action": "scan"}}, "keep": ["id", "country"],
    })  # fmt: skip
    anomalies = dataset("anomalies", privacy={
        "columns": {"ip": address, "details": {"action": "scan"}},
        "keep": ["id", "type", "severity", "status", "log_id"],
    })  # fmt: skip
    for exported in (private(), ips, anomalies):
        export(backend.url, exported, DAY, store)
    logs = rows_of(store)
    seen = {row["id"]: row["address"] for row in rows_of(store, "ips")}
    [anomaly] = rows_of(store, "anomalies")
    assert logs[0]["ip"] == seen[1] == anomaly["ip"]
    assert logs[1]["ip"] == seen[2]
    assert seen[2] in anomaly["details"]
    assert "10.1.2.3" not in everything_below(store.root)
    backend.run("UPDATE ip_addresses SET last_seen = last_seen + interval '2 days' WHERE id = 1")
    manifest = export(backend.url, ips, DAY, store)
    assert manifest.record_count == 1
