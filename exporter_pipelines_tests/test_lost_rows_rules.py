"""Which replacements `no_lost_rows` and `same_source` hold, warn about and let through.

Each test is an event in the life of a backend: a purge, a correction, a migration.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine import lost_rows
from exporter_pipelines.engine.day_record import day_record
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.kept_days import keep_days
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.datasets import dataset, outcome_of

DAY, NEXT = "2026-11-01", "2026-11-02"


def days_ago(count: int) -> str:
    return str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=count))


def verdict(outcome: DayOutcome, check: str = "no_lost_rows") -> Verdict:
    return next(v for v in outcome.verdicts if v.check == check)


def status(outcome: DayOutcome, check: str = "no_lost_rows") -> str:
    found = verdict(outcome, check)
    return "PASS" if found.passed else found.severity


def published_rows(store: LocalStore, name: str = "logs", day: str = DAY) -> int:
    manifest = Manifest.if_readable(store.read_manifest(name, day))
    assert manifest
    return manifest.record_count


def replaced(store: LocalStore, name: str = "logs") -> int:
    return len(store.replaced_exports(name))


class Logs:
    """A day of logs that was published, and its database."""

    def __init__(self, backend: Backend, store: LocalStore, rows: int = 100) -> None:
        self.backend, self.store = backend, store
        backend.add_logs(DAY, rows)
        assert self.export().manifest

    def export(self, day: str = DAY, *, url: str = "", **changes: Any) -> DayOutcome:
        """Export a day; `changes` are of the dataset, or options of `export_day`."""
        options = {name: changes.pop(name) for name in ("accept_loss", "sample") if name in changes}
        return outcome_of(url or self.backend.url, dataset(**changes), day, self.store, **options)


@pytest.fixture
def logs(backend: Backend, store: LocalStore) -> Logs:
    return Logs(backend, store)


def test_a_few_purged_rows_are_reported_and_many_hold_the_day(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 4")
    few = logs.export()
    assert (status(few), verdict(few).numbers["rows_gone"]) == ("WARN", 4)
    assert replaced(logs.store) == 1
    assert published_rows(logs.store) == 96
    again = logs.export()
    assert status(again) == "PASS"  # no other row has gone since

    # Small losses add up: 4 + 12 of 100 are more than 10 rows and 10 %.
    logs.backend.run("DELETE FROM logs WHERE id <= 16")
    many = logs.export()
    assert (status(many), verdict(many).numbers["rows_gone"]) == ("ERROR", 16)
    assert "`exporter keep logs 2026-11-01`" in str(many.held())
    assert published_rows(logs.store) == 96


def test_an_accepted_loss_is_the_new_baseline(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 50")
    assert logs.export().manifest is None
    accepted = logs.export(accept_loss=True)
    assert status(accepted) == "PASS"
    assert published_rows(logs.store) == 50
    record = day_record(logs.store, "logs", DAY).published
    assert record
    assert (record.baseline_rows, record.gone_rows, record.loss_accepted) == (50, 0, True)
    logs.backend.run("DELETE FROM logs WHERE id <= 53")
    assert verdict(logs.export()).numbers["rows_gone"] == 3


def test_a_day_whose_rows_are_all_rejected_does_not_replace_one_with_rows(
    backend: Backend, store: LocalStore
) -> None:
    logs = Logs(backend, store, rows=10)
    backend.run("UPDATE logs SET level = 'odd' WHERE id > 1")
    assert logs.export().manifest  # few bad rows hold no day
    assert published_rows(store) == 1
    backend.run("UPDATE logs SET level = 'odd'")
    held = logs.export()
    assert (held.manifest, status(held)) == (None, "ERROR")
    assert verdict(held).reason == (
        "Rejected rows (10) leave the day without any, and the published export has 1."
    )
    assert published_rows(store) == 1
    accepted = logs.export(accept_loss=True)
    assert (bool(accepted.manifest), status(accepted), published_rows(store)) == (True, "PASS", 0)
    assert logs.export().manifest  # the published one is empty as well
    backend.add_logs(NEXT, 1, first_id=100, level="odd")
    assert logs.export(NEXT).manifest  # and this day was never published


def test_limits_are_the_datasets(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 4")
    assert logs.export(max_lost_rows=3, max_lost_pct=3).manifest is None
    assert logs.export(max_lost_rows=3, max_lost_pct=4).manifest


def test_rows_that_moved_to_another_day_are_not_lost(logs: Logs) -> None:
    logs.backend.run("UPDATE logs SET timestamp = timestamp + interval '3 days' WHERE id <= 60")
    moved = logs.export()
    assert (status(moved), verdict(moved).numbers["rows_moved"]) == ("PASS", 60)
    assert verdict(moved).numbers["rows_gone"] == 0
    assert replaced(logs.store) == 1  # it had more rows
    # All of them: an empty day without a loss, but the keys could be of other rows.
    logs.backend.run("UPDATE logs SET timestamp = timestamp + interval '3 days'")
    emptied = logs.export()
    assert (bool(emptied.manifest), status(emptied)) == (True, "WARN")
    assert published_rows(logs.store) == 0


def test_a_row_that_lost_its_time_is_in_no_day_any_more(
    empty_db: Backend, store: LocalStore
) -> None:
    empty_db.run(LOGS.replace("timestamptz NOT NULL", "timestamptz"))
    logs = Logs(empty_db, store)
    empty_db.run("UPDATE logs SET timestamp = NULL WHERE id <= 60")
    held = logs.export()
    assert (status(held), verdict(held).numbers["rows_gone"]) == ("ERROR", 60)


def test_every_row_gone_holds_even_a_tiny_day(backend: Backend, store: LocalStore) -> None:
    logs = Logs(backend, store, rows=2)
    backend.run("DELETE FROM logs")
    assert status(logs.export()) == "ERROR"


def test_repeated_rows_may_be_removed(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run(LOGS.replace(" PRIMARY KEY", ""))
    logs = Logs(empty_db, store)
    empty_db.run("INSERT INTO logs SELECT * FROM logs WHERE id <= 50")
    assert logs.export().manifest
    empty_db.run(
        "DELETE FROM logs one USING logs other WHERE one.id = other.id AND one.ctid > other.ctid"
    )
    assert (status(logs.export()), published_rows(store)) == ("PASS", 100)


def test_a_key_that_many_rows_share_hides_no_loss(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run(LOGS.replace(" PRIMARY KEY", ""))
    logs = Logs(empty_db, store)
    empty_db.run("UPDATE logs SET id = id % 10")
    assert logs.export(accept_loss=True).manifest
    empty_db.run("DELETE FROM logs WHERE timestamp > '2026-11-01T12:00Z'")
    held = logs.export()
    assert (status(held), verdict(held).numbers["rows_gone"]) == ("ERROR", 49)


def test_a_table_that_is_loaded_again_meanwhile_loses_no_day(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day is read while the table is empty, and its keys are looked up when it is full."""
    rows = logs.backend.run("SELECT id, timestamp FROM logs")
    logs.backend.run("CREATE TABLE copy AS SELECT * FROM logs; TRUNCATE logs")
    module = "exporter_pipelines.engine.lost_rows"
    original = lost_rows.missing_rows

    def loaded(*arguments: Any, **options: Any) -> Any:
        logs.backend.run("INSERT INTO logs SELECT * FROM copy ON CONFLICT DO NOTHING")
        return original(*arguments, **options)

    monkeypatch.setattr(f"{module}.missing_rows", loaded)
    held = logs.export()
    assert (status(held), len(rows)) == ("ERROR", 100)
    assert "the source changed while it was compared" in verdict(held).reason
    monkeypatch.undo()
    assert logs.export().manifest


def test_keys_that_are_used_again_warn_and_the_export_is_kept(logs: Logs) -> None:
    logs.backend.run("TRUNCATE logs")
    logs.backend.add_logs(NEXT, 100)
    emptied = logs.export()
    assert (status(emptied), replaced(logs.store)) == ("WARN", 1)


def test_a_renamed_key_column_compares_counts(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 60")
    manifest = Manifest.if_readable(logs.store.read_manifest("logs", DAY))
    assert manifest
    columns = [
        c.model_copy(update={"name": "uid"}) if c.name == "id" else c for c in manifest.columns
    ]
    renamed = manifest.model_copy(update={"columns": columns})
    path = logs.store.day_folder("logs", DAY) / MANIFEST_NAME
    path.write_bytes(renamed.sealed().to_json())
    held = logs.export()
    assert (status(held), verdict(held).numbers["rows_gone"]) == ("ERROR", 60)
    assert "another key or time column" in verdict(held).reason


def test_an_export_that_the_ledger_does_not_know_is_protected(logs: Logs, tmp_path: Path) -> None:
    """A backup was restored into a folder whose ledger was begun without it."""
    folder = logs.store.day_folder("logs", DAY)
    shutil.copytree(folder, tmp_path / "backup")
    shutil.rmtree(logs.store.root)
    logs.backend.add_logs(NEXT, 5, first_id=5000)
    assert logs.export(NEXT).manifest
    shutil.copytree(tmp_path / "backup", folder)
    logs.backend.run("DELETE FROM logs WHERE id <= 100")
    assert status(logs.export()) == "ERROR"
    assert published_rows(logs.store) == 100


def test_a_wrong_url_for_one_night_is_corrected(logs: Logs, postgres_url: str) -> None:
    with fresh_database(postgres_url) as other:
        other.run(LOGS)
        other.add_logs(NEXT, 300, first_id=7000)
        assert logs.export(NEXT, url=other.url).manifest
    logs.backend.add_logs(NEXT, 20, first_id=2000)
    corrected = logs.export(NEXT)
    assert (bool(corrected.manifest), status(corrected)) == (True, "WARN")
    assert replaced(logs.store) == 1


def test_rejected_rows_are_kept_with_the_replaced_export(logs: Logs) -> None:
    logs.backend.add_logs(DAY, 1, first_id=900, level="odd")
    assert logs.export().manifest
    logs.backend.run("DELETE FROM logs WHERE id = 900")
    assert logs.export().manifest
    [(_, name)] = logs.store.replaced_exports("logs")
    kept = logs.store.root / "logs" / ".replaced" / name
    assert [path.name for path in kept.glob("*.jsonl.gz") if "-01.0" in path.name]


def test_a_new_filter_a_new_rule_or_another_format_is_no_loss(logs: Logs) -> None:
    none = {"name": "none", "column": "level", "op": "eq", "value": "CRITICAL"}
    for changes in (
        {"filters": [none]},
        {"format": "parquet", "compression": "zstd"},
        {"format": "csv", "max_file_records": 7},
        {"rules": [{"name": "odd", "sql": "id % 2 = 1"}], "max_rejected_pct": 100},
    ):
        assert status(logs.export(**changes)) == "PASS", changes
    # Rows are compared although the files changed their format, and half of them were rejected.
    logs.backend.run("DELETE FROM logs WHERE id <= 20")
    assert verdict(logs.export()).numbers["rows_gone"] == 20


def test_filtered_rows_were_not_published_and_cannot_be_lost(
    backend: Backend, store: LocalStore
) -> None:
    warn = {"name": "warn", "column": "level", "op": "eq", "value": "WARNING"}
    backend.add_logs(DAY, 50, first_id=500, level="WARNING")
    logs = Logs(backend, store)
    assert logs.export(filters=[warn]).manifest
    backend.run("DELETE FROM logs WHERE level = 'INFO'")
    assert status(logs.export(filters=[warn])) == "PASS"


def test_a_detector_that_ran_again_is_reported(logs: Logs) -> None:
    logs.backend.run("UPDATE logs SET id = id + 1000")
    other = logs.export()
    assert (status(other), verdict(other).numbers["rows_replaced"]) == ("WARN", 100)
    assert replaced(logs.store) == 1
    assert published_rows(logs.store) == 100


def test_late_rows_hide_no_loss_while_there_are_fewer_than_before(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 50")
    logs.backend.add_logs(DAY, 49, first_id=5000)
    assert verdict(logs.export()).numbers["rows_gone"] == 50


def test_a_lookup_that_takes_too_long_compares_counts(
    backend: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Logs(backend, store)
    backend.run(
        "ALTER TABLE logs RENAME TO real_logs;"
        "CREATE FUNCTION slow(bigint) RETURNS bigint LANGUAGE sql VOLATILE AS "
        "'SELECT $1 FROM pg_sleep(0.05)';"
        "UPDATE real_logs SET timestamp = timestamp + interval '1 day' WHERE id <= 60;"
        "CREATE VIEW logs AS SELECT CASE WHEN timestamp >= '2026-11-02' THEN slow(id) ELSE id END "
        "AS id, timestamp, level, message, source, device, ip, attributes FROM real_logs"
    )
    monkeypatch.setattr("exporter_pipelines.engine.lost_rows.LOOKUP_S", 0.5)
    held = logs.export()
    assert (status(held), verdict(held).numbers["rows_gone"]) == ("ERROR", 60)
    assert "The numbers of rows were compared, not their keys" in verdict(held).reason


def test_a_changed_key_compares_counts(logs: Logs) -> None:
    changed = {"transforms": [{"function": f"{__name__}.negative_keys"}]}
    assert logs.export(**changed).manifest
    logs.backend.run("DELETE FROM logs WHERE id <= 60")
    held = logs.export(**changed)
    assert (status(held), verdict(held).numbers["rows_gone"]) == ("ERROR", 60)
    assert "a transform changes the key" in verdict(held).reason


def negative_keys(batch: Any, _params: Any) -> Any:
    import pyarrow.compute as pc

    return batch.set_column(0, batch.schema.field(0), pc.negate(batch["id"]))


def test_a_lost_export_does_not_hide_lost_rows(logs: Logs) -> None:
    """The folder of the day was deleted, and then the source was purged."""
    shutil.rmtree(logs.store.day_folder("logs", DAY))
    logs.backend.run("DELETE FROM logs")
    assert status(logs.export()) == "ERROR"
    assert logs.store.read_manifest("logs", DAY) is None


@pytest.mark.parametrize("rows", [5, 60])
def test_an_example_of_sqlite(tmp_path: Path, store: LocalStore, rows: int) -> None:
    import sqlite3

    path = tmp_path / "logs.db"
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE logs (id INTEGER PRIMARY KEY, timestamp TEXT NOT NULL, level TEXT, "
            "message TEXT, source TEXT, device TEXT, ip TEXT, attributes TEXT)"
        )
        database.executemany(
            "INSERT INTO logs VALUES (?, ?, 'INFO', 'hello', 'app', 'edge', '10.0.0.1', '{}')",
            [(n, f"{DAY}T00:{n % 60:02}:00Z") for n in range(100)],
        )
    url, utc = f"sqlite:///{path}", {"source": {"timezone": "UTC"}}
    assert outcome_of(url, dataset(**utc), DAY, store).manifest
    with sqlite3.connect(path) as database:
        database.execute("UPDATE logs SET timestamp = ? WHERE id >= 90", [f"{NEXT}T01:00:00Z"])
        database.execute("DELETE FROM logs WHERE id < ?", [rows])
    found = outcome_of(url, dataset(**utc), DAY, store)
    assert status(found) == ("WARN" if rows == 5 else "ERROR")
    assert verdict(found).numbers["rows_gone"] == rows
    assert verdict(found).numbers["rows_moved"] == 10


# --- another database ---


def copy_of(logs: Logs, other: Backend) -> None:
    rows = logs.backend.run("SELECT id, timestamp, level, message FROM logs")
    other.run(LOGS)
    for row in rows:
        other.run(
            "INSERT INTO logs (id, timestamp, level, message, source, device, ip, attributes) "
            "VALUES (%s, %s, %s, %s, 'app', 'edge-01', '10.0.0.1', '{\"a\": 1}')", row
        )  # fmt: skip


def test_a_server_that_moved_is_reported_once(logs: Logs, postgres_url: str) -> None:
    logs.backend.add_logs(NEXT, 20, first_id=2000)
    with fresh_database(postgres_url) as other:
        copy_of(logs, other)
        first = logs.export(url=other.url)
        assert (status(first), status(first, "same_source")) == ("PASS", "WARN")
        assert "exporter accept-source logs" in verdict(first, "same_source").reason
        assert status(logs.export(url=other.url), "same_source") == "PASS"
        new = logs.export(NEXT, url=other.url)
        assert (bool(new.manifest), status(new, "same_source")) == (True, "WARN")


def test_the_wrong_database_holds_a_published_day(logs: Logs, postgres_url: str) -> None:
    with fresh_database(postgres_url) as other:
        other.run(LOGS)
        # The same keys at other times, and more rows than before.
        other.add_logs(DAY, 200)
        held = logs.export(url=other.url)
        assert (held.manifest, status(held, "same_source")) == (None, "ERROR")
        assert published_rows(logs.store) == 100
        assert logs.export(url=other.url, accept_loss=True).manifest


def test_after_an_upgrade_the_wrong_database_is_noticed_by_its_keys(
    logs: Logs, postgres_url: str
) -> None:
    shutil.rmtree(logs.store.root / ".ledger")  # as version 0.1.0 left it
    with fresh_database(postgres_url) as other:
        other.run(LOGS)
        other.add_logs(DAY, 300, first_id=5000)
        held = logs.export(url=other.url)
        assert (held.manifest, status(held)) == (None, "ERROR")
        assert verdict(held).numbers["rows_gone"] == 100
        assert published_rows(logs.store) == 100
    assert logs.export().manifest


def test_the_sample_is_never_mixed_with_other_exports(logs: Logs) -> None:
    with pytest.raises(ConfigurationError, match="has exports of logs from a database"):
        logs.export(sample=True)
    with pytest.raises(ConfigurationError, match="sample backend now"):
        logs.export(NEXT, sample=True)
    assert published_rows(logs.store) == 100


def test_no_name_of_a_database_reaches_the_output(logs: Logs) -> None:
    [name] = re.findall(r"test_[0-9a-f]{12}", logs.backend.url)
    for file in logs.store.root.rglob("*"):
        if file.is_file():
            assert name.encode() not in file.read_bytes(), file


# --- days that are kept ---


def test_a_kept_day_is_skipped_until_the_source_changes(logs: Logs) -> None:
    logs.backend.run("DELETE FROM logs WHERE id <= 50")
    assert logs.export().manifest is None
    assert [entry.day for entry in keep_days(logs.store, "logs", [DAY, NEXT])] == [DAY]
    kept = logs.export()
    assert kept.kept
    assert kept.manifest
    assert kept.manifest.record_count == 100
    assert all(each.passed for each in kept.verdicts)
    assert keep_days(logs.store, "logs", [DAY]) == []
    logs.backend.run("DELETE FROM logs WHERE id <= 60")
    again = logs.export()
    assert (again.manifest, again.kept) == (None, "")
    # Restored rows are exported, and nothing is kept any more.
    logs.backend.add_logs(DAY, 60, first_id=1)
    assert logs.export().manifest
    assert published_rows(logs.store) == 100


def test_a_held_day_without_an_export_cannot_be_kept(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 50, level="odd")
    assert outcome_of(backend.url, dataset(), DAY, store).manifest is None
    with pytest.raises(ConfigurationError, match="no published export to keep") as refused:
        keep_days(store, "logs", [DAY])
    assert f"`exporter export logs {DAY}`" in str(refused.value)
    assert "accept" not in str(refused.value), "there is no published export whose rows are lost"


def test_days_that_the_source_no_longer_keeps_stay(backend: Backend, store: LocalStore) -> None:
    old, new = days_ago(31), days_ago(10)
    for number, day in enumerate((old, new)):
        backend.add_logs(day, 20, first_id=1000 * number)
        assert outcome_of(backend.url, dataset(), day, store).manifest
    backend.run("DELETE FROM logs")
    keeps = dataset(source={"keeps_days": 30})
    kept = outcome_of(backend.url, keeps, old, store)
    assert "keeps 30 days" in kept.kept
    assert outcome_of(backend.url, keeps, new, store).manifest is None
    assert outcome_of(backend.url, keeps, old, store, accept_loss=True).manifest
    assert published_rows(store, day=old) == 0
