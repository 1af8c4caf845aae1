"""`exporter doctor` on SQLite files, beside which it leaves nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.doctor_runs import DAY, Doctor


@pytest.fixture
def sqlite_file(doctor: Doctor, tmp_path: Path) -> Path:
    """A stranger's SQLite file, which the dataset logs is read from."""
    file = tmp_path / "events.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            CREATE TABLE entries (nr INTEGER PRIMARY KEY, created_at DATETIME, severity TEXT,
                text TEXT, service TEXT, hostname TEXT, meta TEXT);
            INSERT INTO entries VALUES
                (1, '2026-11-01 12:00:00', 'warn', 'hello', 'sshd', 'a', '{}'),
                (2, '2026-11-03T12:00:00+02:00', 'info', 'bye', 'sshd', 'a', NULL);
            CREATE VIEW recent AS SELECT * FROM entries;
            CREATE TABLE other (x);
        """)
    doctor.set(LOGS_URL=f"sqlite:///{file}")
    doctor.edit("logs", "url: EXPORTER_SOURCE_URL", "url: LOGS_URL")
    return file


def sqlite(file: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def test_a_sqlite_file_is_exported_with_what_is_proposed(
    doctor: Doctor, sqlite_file: Path, store: LocalStore
) -> None:
    doctor.run("--dataset", "logs")
    assert f", {sqlite_file}, " in doctor.found("ok", "connection")["message"]
    found = doctor.found("FAIL", "table")
    assert "(there are: entries, other, recent)" in found["message"]
    doctor.paste("logs", found)
    assert doctor.configured("logs")["table"] == "entries"
    assert doctor.configured("logs")["columns"] == {
        "id": "nr", "timestamp": "created_at", "level": "severity", "message": "text",
        "source": "service", "device": "hostname", "attributes": "meta",
    }  # fmt: skip
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "key")
    assert "read as UTC" in doctor.found("ok", "zone")["message"]
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"
    statement = doctor.found("warn", "index")["hint"]
    sqlite(sqlite_file, statement)
    doctor.run("--dataset", "logs")
    assert {f["level"] for f in doctor.said} == {"ok"}, doctor.output
    mapped = dataset(source=doctor.configured("logs"))
    assert export(os.environ["LOGS_URL"], mapped, DAY, store).record_count == 1


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        ("unixepoch(created_at)", "epoch_s"),
        ("unixepoch(created_at) * 1000", "epoch_ms"),
        ("unixepoch(created_at) + 0.5", "epoch_s"),
    ],
)
def test_numbers_of_sqlite_get_their_encoding(
    doctor: Doctor, sqlite_file: Path, change: str, encoding: str
) -> None:
    sqlite(sqlite_file, f"UPDATE entries SET created_at = {change}")
    doctor.run("--dataset", "logs")
    doctor.paste("logs", doctor.found("FAIL", "table"))
    assert doctor.configured("logs")["encodings"] == {"timestamp": encoding}
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"


def test_rows_of_sqlite_without_a_day_are_counted(doctor: Doctor, sqlite_file: Path) -> None:
    sqlite(
        sqlite_file,
        "INSERT INTO entries (created_at) VALUES (NULL), (''), ('12 apples'), ('yesterday')",
    )
    doctor.run("--dataset", "logs")
    doctor.paste("logs", doctor.found("FAIL", "table"))
    doctor.run("--dataset", "logs")
    message = doctor.found("FAIL", "dayless rows")["message"]
    assert "without a usable created_at (null, infinite or not a date): 4" in message
    assert "`null` (1), `empty text` (1), `99 aaaaaa` (1), `aaaaaaaaa` (1)" in message
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"


def test_a_sqlite_key_that_repeats_and_a_zone_that_is_missing(
    doctor: Doctor, sqlite_file: Path
) -> None:
    sqlite(
        sqlite_file,
        "CREATE TABLE logs AS SELECT 1 AS id, created_at AS timestamp, severity AS level, "
        "text AS message, service AS source FROM entries",
    )
    doctor.run("--dataset", "logs")
    assert "has repeated values" in doctor.found("warn", "key")["message"]
    doctor.edit("logs", "timezone: UTC", "# no zone")
    doctor.run("--dataset", "logs")
    assert "SQLite stores no time zones" in doctor.found("FAIL", "types")["message"]


def test_times_in_a_collation_of_the_application_are_examined(
    doctor: Doctor, sqlite_file: Path
) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_file)) as application:
        application.create_collation("LOCALIZED", lambda a, b: (a > b) - (a < b))
        application.executescript("""
            CREATE TABLE logs (id INTEGER PRIMARY KEY, timestamp TEXT COLLATE LOCALIZED,
                level TEXT, message TEXT COLLATE LOCALIZED, source TEXT);
            INSERT INTO logs SELECT nr, created_at, 'INFO', text, service FROM entries;
            CREATE VIEW compared AS SELECT * FROM logs WHERE message < 'x';
        """)
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"
    doctor.edit("logs", "table: logs", "table: compared")
    doctor.run("--dataset", "logs")
    assert "The collation LOCALIZED is defined only" in doctor.found("FAIL", "table")["message"]


def test_looking_at_a_sqlite_file_leaves_nothing_beside_it(
    doctor: Doctor, sqlite_file: Path
) -> None:
    sqlite(sqlite_file, "PRAGMA journal_mode = wal")
    before = sorted(sqlite_file.parent.iterdir()), sqlite_file.read_bytes()
    doctor.run("--dataset", "logs")
    assert (sorted(sqlite_file.parent.iterdir()), sqlite_file.read_bytes()) == before


def test_what_a_crash_left_of_a_sqlite_file_is_left_as_it_is(
    doctor: Doctor, sqlite_file: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(sqlite_file)) as application:
        application.execute("PRAGMA journal_mode = wal")
        application.execute("CREATE TABLE late (x)")
        shutil.copy(sqlite_file, crashed)
        shutil.copy(f"{sqlite_file}-wal", crashed)
    doctor.set(LOGS_URL=f"sqlite:///{crashed / sqlite_file.name}")
    before = sorted(crashed.iterdir())
    doctor.run("--dataset", "logs")
    assert sorted(crashed.iterdir()) == before
    assert "(there are: entries, late, other, recent)" in doctor.found("FAIL", "table")["message"]


def test_a_transaction_that_a_crash_left_open_is_said(
    doctor: Doctor, sqlite_file: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(sqlite_file, isolation_level=None)) as application:
        application.execute("PRAGMA cache_size = 1")
        application.execute("BEGIN")
        for number in range(100):
            application.execute("INSERT INTO other VALUES (?)", [str(number) * 2000])
        shutil.copy(sqlite_file, crashed)
        shutil.copy(f"{sqlite_file}-journal", crashed)
    doctor.set(LOGS_URL=f"sqlite:///{crashed / sqlite_file.name}")
    doctor.run("--dataset", "logs")
    found = doctor.found("FAIL", "connection")
    assert "did not end a transaction" in found["message"]
    assert "start it once" in found["hint"]


def test_a_sqlite_file_that_cannot_be_read_is_named(doctor: Doctor, tmp_path: Path) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"sqlite:///{tmp_path}/nothing.db")
    doctor.run()
    assert "There is no SQLite file" in doctor.found("FAIL", "connection")["message"]
    (tmp_path / "nothing.db").write_text("no database, but long enough to look like one" * 9)
    doctor.run()
    assert "not a database" in doctor.found("FAIL", "connection")["message"]
    doctor.set(EXPORTER_SOURCE_URL="sqlite:///")
    doctor.run()
    assert "names no SQLite file" in doctor.found("FAIL", "connection")["message"]


def test_a_slow_question_to_sqlite_is_given_up(doctor: Doctor, sqlite_file: Path) -> None:
    doctor.edit(
        "logs",
        "table: logs",
        "query: WITH RECURSIVE n(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) "
        "SELECT max(x) AS id FROM n",
    )
    doctor.run("--dataset", "logs")
    assert "no answer within 1 s" in doctor.found("FAIL", "table")["message"]
