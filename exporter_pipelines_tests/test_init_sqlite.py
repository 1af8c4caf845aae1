"""`exporter init` on SQLite files, where any column may hold anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter_pipelines import cli
from exporter_pipelines.sources.sqlite import profile
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import rejected, rows
from exporter_pipelines_tests.support.init_runs import Init, initiated

DAY = "2026-11-01"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database of a test is."""
    return tmp_path / "app.db"


@pytest.fixture
def init(
    file: Path, tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Init]:
    """The command on a SQLite file, in a project with the tests' definitions."""
    folder = tmp_path / "working_directory"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EXPORTER_START_DATE", "2026-11-01")
    monkeypatch.setenv("EXPORTER_END_DATE", "2026-11-15")
    with initiated(tmp_path, store, monkeypatch) as found:
        yield found.read(f"sqlite:///{file}")


def make(file: Path, script: str) -> None:
    """Run SQL on the file."""
    with sqlite3.connect(file) as connection:
        connection.executescript(script)
    connection.close()


KINDS = """
CREATE TABLE items (id INTEGER PRIMARY KEY, at TEXT NOT NULL, amount INTEGER NOT NULL,
    price REAL, mixed_number, anything, flag BOOLEAN, doc JSON, broken JSON, image BLOB,
    state TEXT, big, made DATETIME, bare, never INT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
INSERT INTO items SELECT i, '2026-11-01 0' || (i % 10) || ':00:00', i, i / 3.0,
    CASE WHEN i % 2 THEN i ELSE i / 3.0 END,
    CASE i % 3 WHEN 0 THEN i WHEN 1 THEN 'word' ELSE x'ff00' END, i % 2, '{"a": 1}',
    CASE WHEN i = 9 THEN '{' ELSE '{}' END, x'00', CASE WHEN i % 2 THEN 'on' ELSE 'off' END,
    CASE WHEN i = 1 THEN 9007199254740993 ELSE 0.5 END, '2026-11-01 10:00:00', i, NULL FROM n;
"""


def test_every_stored_value_is_exported(init: Init, file: Path, store: LocalStore) -> None:
    make(file, KINDS)
    init.run("items")
    manifest = init.export("items", DAY)
    assert (manifest.counts.read, manifest.counts.exported) == (40, 40)
    types = {column.name: column.type for column in manifest.columns}
    assert types == {
        "id": "int64", "at": "timestamp[us, tz=UTC]", "amount": "int64", "price": "double",
        "mixed_number": "double", "anything": "string", "flag": "bool", "doc": "json",
        "broken": "string", "image": "string", "state": "string", "big": "string",
        "made": "string", "bare": "int64", "never": "int64",
    }  # fmt: skip
    assert "# Values: off, on" in init.text("items")
    [first] = [row for row in rows(store, manifest) if row["id"] == 1]
    assert first["big"] == "9007199254740993", "a double would lose its last digit"


TIMES = """
CREATE TABLE seconds (id INTEGER PRIMARY KEY, created_at INTEGER);
INSERT INTO seconds VALUES (1, 1793523600), (2, 1793523601);
CREATE TABLE fractions (id INTEGER PRIMARY KEY, ts REAL);
INSERT INTO fractions VALUES (1, 1793523600.25);
CREATE TABLE zoned (id INTEGER PRIMARY KEY, logged TEXT, deleted_at TEXT);
INSERT INTO zoned VALUES (1, '2026-11-01T10:00:00Z', '2026-11-01'),
    (2, '2026-11-01 11:30:00+02:00', NULL), (3, '2026-11-01 10:00:00.123456789 +0100', NULL);
CREATE TABLE spelled (id INTEGER PRIMARY KEY, logged TEXT);
INSERT INTO spelled VALUES (1, '2026-11-01'), (2, '2026-11-01 10:00'), (3, '2026-11-01T10:00:00');
CREATE TABLE mixed (id INTEGER PRIMARY KEY, logged);
INSERT INTO mixed VALUES (1, '2026-11-01'), (2, 'soon'), (3, x'00');
CREATE TABLE none (id INTEGER PRIMARY KEY, count INTEGER);
CREATE TABLE pairs (a TEXT NOT NULL, b INT NOT NULL, at DATETIME, PRIMARY KEY (a, b)) WITHOUT ROWID;
INSERT INTO pairs VALUES ('x', 1, '2026-11-01 10:00:00'), ('x', 2, '2026-11-01 10:00:00');
CREATE VIEW latest AS SELECT id, logged AS at FROM spelled;
CREATE TABLE empty (id INTEGER PRIMARY KEY, at DATETIME);
"""


def test_times_of_several_spellings_and_odd_tables(init: Init, file: Path) -> None:
    make(file, TIMES)
    said = init.run("--all")
    counts = {
        "seconds": 2, "fractions": 1, "zoned": 3, "spelled": 3, "pairs": 2, "latest": 3, "empty": 0,
    }  # fmt: skip
    for name, count in counts.items():
        assert init.export(name, DAY).record_count == count, name
    assert init.source("seconds")["encodings"] == {"created_at": "epoch_s"}
    assert init.source("zoned")["time_column"] == "logged"
    assert init.source("pairs")["key"] == "row_key"
    assert "Skipped: mixed has no time column" in said
    assert "Skipped: none has no time column" in said
    guessed = {name for name in counts if "CHECK THIS" in init.text(name, "defs.yaml")}
    assert guessed == {"spelled", "pairs", "latest", "empty"}


def test_names_and_bytes_that_nothing_else_can_have(
    init: Init, file: Path, store: LocalStore
) -> None:
    make(
        file,
        """
        CREATE TABLE "my ""log"" [x]" ("the id" INTEGER PRIMARY KEY, "from" TEXT, "date" TEXT,
            "a'b" TEXT, "" TEXT);
        INSERT INTO "my ""log"" [x]" VALUES (1, 'f', '2026-11-01 10:00', 'q', 'e');
        INSERT INTO "my ""log"" [x]" VALUES (2, CAST(x'ff' AS TEXT), '2026-11-01 10:00', 'q', 'e');
        """,
    )
    init.run('my "log" [x]')
    manifest = init.export("my_log_x", DAY)
    [row] = rows(store, manifest)
    assert row == {
        "the_id": 1, "from_": "f", "date_": "2026-11-01T10:00:00.000000Z", "a_b": "q",
        "column_5": "e",
    }  # fmt: skip
    [bad] = rejected(store, manifest)
    assert bad["rejections"][0]["rule"] == "undecodable_text"


def test_a_large_file_is_read_at_both_ends(
    init: Init, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(
        file,
        """
        CREATE TABLE big (id INTEGER PRIMARY KEY, at TEXT NOT NULL, note TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO big SELECT i, '2026-11-01', CASE WHEN i > 19900 THEN 'late' END FROM n;
        """,
    )
    monkeypatch.setattr(profile, "FULL_READ_S", 0.0)
    monkeypatch.setattr(profile, "_SAMPLE_ROWS", 100)
    monkeypatch.setattr(profile, "SAMPLE_READ_S", 1.0)
    init.run("big")
    text = init.text("big")
    assert "are those of a sample of 200 rows" in text
    assert "null in 100 of 200 of a sample rows" not in text
    assert "null in 100 of a sample of 200 rows" in text


FOREIGN = """
CREATE TABLE ok (id INTEGER PRIMARY KEY, created_at TEXT, name TEXT COLLATE LOCALIZED);
INSERT INTO ok VALUES (1, '2026-11-01', 'x');
CREATE VIEW compared AS SELECT * FROM ok WHERE name = 'x';
CREATE VIEW computed AS SELECT id, created_at, folded(name) AS name FROM ok;
CREATE VIEW dangling AS SELECT * FROM nowhere;
"""


def test_what_only_the_application_can_read_is_named_and_the_rest_is_listed(
    init: Init, file: Path
) -> None:
    with sqlite3.connect(file) as connection:
        connection.create_collation("LOCALIZED", lambda a, b: (a > b) - (a < b))
        connection.create_function("folded", 1, str, deterministic=True)
        connection.executescript(FOREIGN)
    connection.close()
    said = init.run()
    reasons = {
        "compared": "The collation LOCALIZED is defined only in the application",
        "computed": "no such function: folded",
        "dangling": "no such table: main.nowhere",
    }
    for name, reason in reasons.items():
        [line] = [line for line in said.splitlines() if line.startswith(name)]
        assert "not as it is: " in line
        assert reason in line
    assert "`exporter init ok`" in said
    said = init.run("--all")
    assert "Skipped: compared cannot be read: The collation LOCALIZED" in said
    assert init.export("ok", DAY).record_count == 1


def test_a_virtual_table_is_exported_without_its_hidden_columns(init: Init, file: Path) -> None:
    make(
        file,
        """
        CREATE VIRTUAL TABLE notes USING fts5(id, timestamp, msg);
        INSERT INTO notes VALUES ('a', '2026-11-01 09:00', 'x');
        """,
    )
    init.run("notes")
    manifest = init.export("notes", DAY)
    assert [column.name for column in manifest.columns] == ["id", "timestamp", "msg"]
    assert manifest.record_count == 1


def test_a_table_whose_name_begins_like_a_schema_is_exported(init: Init, file: Path) -> None:
    make(
        file,
        """
        CREATE TABLE "main.a" (id INTEGER PRIMARY KEY, created_at TEXT);
        INSERT INTO "main.a" VALUES (1, '2026-11-01');
        """,
    )
    assert "`exporter init main.main.a`" in init.run()
    init.run("main.a")
    assert init.source("a")["table"] == "main.main.a"
    assert init.export("a", DAY).record_count == 1


def test_a_primary_key_that_may_be_null_is_the_key_unless_a_row_is_null(
    init: Init, file: Path
) -> None:
    """SQLite's primary keys may be null, unless they are integers or declared NOT NULL."""
    make(
        file,
        """
        CREATE TABLE peers (peer TEXT PRIMARY KEY, seen_at TEXT);
        INSERT INTO peers VALUES ('10.0.0.1', '2026-11-01'), ('10.0.0.2', '2026-11-01');
        CREATE TABLE gaps (peer TEXT PRIMARY KEY, seen_at TEXT);
        INSERT INTO gaps VALUES (NULL, '2026-11-01'), (NULL, '2026-11-01');
        """,
    )
    said = init.run("peers", "gaps", code=1)
    assert "key          peer: has a unique index, and no row is null in it" in said
    assert "gaps has no key" in said
    assert init.export("peers", DAY).record_count == 2


def test_a_column_that_cannot_be_the_time_column_is_not_called_unreadable(
    init: Init, file: Path
) -> None:
    make(
        file,
        """
        CREATE TABLE mixed (id INTEGER PRIMARY KEY, created_at);
        INSERT INTO mixed VALUES (1, 1793525400), (2, '2026-11-01');
        CREATE TABLE images (id INTEGER PRIMARY KEY, created_at BLOB);
        INSERT INTO images VALUES (1, x'89504e47');
        """,
    )
    said = init.run("mixed", "images", code=1)
    assert said.count("(created_at) cannot be used for one of these reasons: it holds") == 2


@pytest.mark.parametrize("first", ["'2026-11-01'", "CAST('2026-11-01' AS BLOB)"])
def test_times_in_blobs_of_text_are_found(init: Init, file: Path, first: str) -> None:
    make(
        file,
        f"""
        CREATE TABLE blobs (id INTEGER PRIMARY KEY, created_at);
        INSERT INTO blobs VALUES (1, {first}), (2, CAST('2026-11-03 10:00' AS BLOB));
        """,
    )
    assert "2 rows from 2026-11-01 to 2026-11-03" in init.run("blobs")
    assert init.export("blobs", "2026-11-03").record_count == 1
    done = CliRunner().invoke(cli.main, ["doctor", "--dataset", "blobs"])
    assert "\n0 FAIL" in done.output, done.output
