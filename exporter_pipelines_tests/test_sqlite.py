"""What only SQLite does: values of any type anywhere, and a file that its application writes."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    ExporterError,
    SourceUnavailableError,
)
from exporter_pipelines.sources import open_inspection
from exporter_pipelines.sources.sqlite.connection import SqliteConnection
from exporter_pipelines.sources.sqlite.query import SqliteDayQuery
from exporter_pipelines.sources.sqlite.table import SqliteTable
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import (
    PostgresDatabase,
    SqliteDatabase,
    sqlite_database,
    with_shipped_tables,
)
from exporter_pipelines_tests.support.datasets import (
    databases,
    dataset,
    export,
    open_day,
    rejected,
    rows,
)
from exporter_pipelines_tests.support.projects import ROOT, Project
from exporter_pipelines_tests.test_postgres_values import values_dataset
from exporter_pipelines_tests.test_sources import DAY, NOON, changes, log

UTC_DAY = DayWindow.of(DAY, "UTC")


@pytest.fixture
def empty(tmp_path: Path) -> SqliteDatabase:
    """A file without tables, not in WAL mode."""
    return sqlite_database(tmp_path / "app.db")


@pytest.fixture
def database(empty: SqliteDatabase) -> SqliteDatabase:
    """The same with the tables of the three datasets."""
    with_shipped_tables(empty)
    return empty


# Values


def deliver(
    database: SqliteDatabase, store: LocalStore, column: str, *literals: str, **changed: Any
) -> tuple[list[Any], list[tuple[str, str | None]], dict[str, int]]:
    """Exported values, (rule, value) of the rejected ones, and what was changed."""
    database.run(f"CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, {column})")
    for literal in literals:
        database.run(f"INSERT INTO v VALUES (NULL, '{NOON}', {literal})")
    exported = values_dataset(source={"timezone": "UTC"}, max_rejected_pct=100, **changed)
    manifest = export(database.url, exported, DAY, store)
    reasons = [r for row in rejected(store, manifest) for r in row["rejections"]]
    return (
        [row[column] for row in rows(store, manifest)],
        [(reason["rule"], reason["value"]) for reason in reasons],
        changes(manifest),
    )


@pytest.mark.parametrize(
    ("column", "literal", "expected"),
    [
        ("text", "''", ""),
        ("text", "CAST(x'610062' AS TEXT)", "a\x00b"),
        ("text", "7", "7"),
        ("text", "-9223372036854775808", "-9223372036854775808"),
        ("text", "0.1", "0.1"),
        ("text", "1e999", "Infinity"),
        ("text", "x'00ff'", "\\x00ff"),
        ("text", "char(0x10FFFD)", "\U0010fffd"),
        ("whole", "9223372036854775807", 2**63 - 1),
        ("whole", "5.0", 5),
        ("number", "7", 7.0),
        ("number", "5e-324", 5e-324),
        ("flag", "1", True),
        ("flag", "0", False),
        ("flag", "'True'", True),
        ("moment", "'2026-11-01'", "2026-11-01T00:00:00.000000Z"),
        ("moment", "x'323032362d31312d3031'", "2026-11-01T00:00:00.000000Z"),
        ("doc", '\'{"b": [1,\n 2.50], "a": null}\'', {"b": [1, 2.5], "a": None}),
        ("doc", "'\"text\"'", "text"),
        ("doc", "12", 12),
        ("doc", "CAST('[1]' AS BLOB)", [1]),
        ("doc", "'\"\\ud83d\\ude00\"'", "\U0001f600"),
    ],
)
def test_value_arrives(
    empty: SqliteDatabase, store: LocalStore, column: str, literal: str, expected: Any
) -> None:
    values, reasons, changed = deliver(empty, store, column, literal, "NULL")
    assert (values, reasons, changed) == ([expected, None], [], {})
    assert type(values[0]) is type(expected)


@pytest.mark.parametrize(
    ("column", "literal", "rule", "shown"),
    [
        ("text", "CAST(x'636166e9' AS TEXT)", "undecodable_text", "caf\\xe9"),
        ("whole", "'7'", "not_an_integer", "7"),
        ("whole", "''", "not_an_integer", ""),
        ("whole", "1.5", "not_an_integer", "1.5"),
        ("whole", "9223372036854775808", "not_an_integer", "9.223372036854776e+18"),
        ("whole", "1e999", "not_an_integer", "Infinity"),
        ("number", "'0.5'", "not_a_number", "0.5"),
        ("number", "x'ff'", "not_a_number", "\\xff"),
        ("flag", "2", "not_a_boolean", "2"),
        ("flag", "'yes'", "not_a_boolean", "yes"),
        ("moment", "1793491200", "unreadable_time", "1793491200"),
        ("moment", "CAST(x'ff' AS TEXT)", "unreadable_time", "\\xff"),
        ("moment", "'2026-11-01' || char(0) || 'x'", "unreadable_time", "2026-11-01\x00x"),
        ("doc", "'{'", "invalid_json", "{"),
        ("doc", "''", "invalid_json", ""),
        ("doc", "'[NaN]'", "invalid_json", "[NaN]"),
        ("doc", "'plain'", "invalid_json", "plain"),
        ("doc", "1e999", "invalid_json", "Infinity"),
        ("doc", "'\"\\ud83d\"'", "invalid_json", '"\\ud83d"'),
        ("doc", "CAST(x'22ff22' AS TEXT)", "undecodable_text", '"\\xff"'),
        ("doc", "replace(hex(zeroblob(9999)), '00', '[')", "invalid_json", "[" * 500),
    ],
)
def test_value_that_does_not_fit_is_rejected_and_its_neighbours_are_not(
    empty: SqliteDatabase, store: LocalStore, column: str, literal: str, rule: str, shown: str
) -> None:
    values, reasons, _ = deliver(empty, store, column, "NULL", literal, "NULL")
    assert values == [None, None]
    assert reasons == [(rule, shown)]


def test_an_integer_with_more_digits_than_a_float_is_counted(
    empty: SqliteDatabase, store: LocalStore
) -> None:
    values, _, changed = deliver(empty, store, "number", "9007199254740993", "0.5")
    assert (values, changed) == ([9007199254740992.0, 0.5], {"numeric_rounded": 1})


def test_a_number_of_any_length_is_examined(empty: SqliteDatabase, store: LocalStore) -> None:
    _, reasons, _ = deliver(empty, store, "doc", "'[' || hex(zeroblob(5000)) || '.1]'", "'[1e9]'")
    assert [rule for rule, _ in reasons] == ["invalid_json"]  # leading zeros
    empty.run("UPDATE v SET doc = '[1' || hex(zeroblob(5000)) || ']'")
    dataset = values_dataset(source={"timezone": "UTC"})
    manifest = export(empty.url, dataset, DAY, store, accept_loss=True)
    reasons = [(r["rule"], r["value"][:3]) for row in rejected(store, manifest)
               for r in row["rejections"]]  # fmt: skip
    assert reasons == [("invalid_json", "[10")] * 2  # beyond 64 bits


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_database_of_utf16_is_read(
    empty: SqliteDatabase, store: LocalStore, encoding: str
) -> None:
    empty.run(f"PRAGMA encoding = '{encoding}'")
    with closing(sqlite3.connect(empty.path)) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{encoding}'")
        connection.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, at, text, moment, flag)")
        connection.executemany(
            "INSERT INTO v VALUES (NULL, ?, ?, ?, ?)",
            [(NOON, "Größe", "2026-11-01", "true"), (NOON, "€" * 400, None, "nö"),
             (NOON, "x" * 999, None, None)],
        )  # fmt: skip
    exported = values_dataset(
        source={"timezone": "UTC"}, max_rejected_pct=100, max_value_bytes=1_000
    )
    manifest = export(empty.url, exported, DAY, store)
    assert [(r["text"], r["flag"]) for r in rows(store, manifest)] == [
        ("Größe", True), ("x" * 999, None)
    ]  # fmt: skip
    (row,) = rejected(store, manifest)
    assert [(r["rule"], r["value"]) for r in row["rejections"]] == [
        ("value_too_large", "€" * 400), ("not_a_boolean", "nö")
    ]  # fmt: skip


_CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["true", "2026-11-01", "[1]", '{"a": "\\ud800"}', "NaN", "1", b"[1]"])
)
_COLUMNS = ("text", "whole", "number", "flag", "moment", "doc")
_ROWS = st.fixed_dictionaries(dict.fromkeys(_COLUMNS, _CELLS))


@pytest.fixture(scope="module")
def untyped(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabase:
    """A table whose columns take anything."""
    database = sqlite_database(tmp_path_factory.mktemp("untyped") / "any.db")
    database.run(f"CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, {', '.join(_COLUMNS)})")
    return database


@settings(max_examples=60)
@given(
    written=st.lists(
        st.fixed_dictionaries(dict.fromkeys(_COLUMNS, _CELLS)), min_size=1, max_size=8
    ),
    encoding=st.sampled_from(["iso8601", "epoch_s", "epoch_ms", "epoch_us"]),
)
def test_any_value_in_any_column_is_exported_or_rejected_by_name(
    untyped: SqliteDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    written: list[dict[str, Any]],
    encoding: str,
) -> None:
    untyped.run("DELETE FROM v")
    untyped.add("v", *({"id": n, "at": NOON, **row} for n, row in enumerate(written)))
    store = LocalStore(tmp_path_factory.mktemp("any"))
    source = {"timezone": "UTC", "encodings": {"moment": encoding}}
    exported = values_dataset(source=source, max_rejected_pct=100)
    manifest = export(untyped.url, exported, DAY, store)
    assert manifest.counts.read == len(written)
    for row in rows(store, manifest):
        stored = written[row["id"]]
        for name in _COLUMNS:
            is_null = stored[name] is None or stored[name] != stored[name]  # NaN is stored as null
            nonfinite = name == "number" and isinstance(stored[name], float)
            is_json_null = name == "doc" and stored[name] in ("null", b"null")
            assert (row[name] is None) == is_null or nonfinite or is_json_null
    for row in rejected(store, manifest):
        for reason in row["rejections"]:
            assert reason["rule"] in SOURCE_RULES
            assert row[reason["column"]] is None


# Times


def test_text_and_numbers_in_one_time_column(empty: SqliteDatabase, store: LocalStore) -> None:
    empty.run("CREATE TABLE logs (id INTEGER PRIMARY KEY, timestamp, level, message, source)")
    for number, stored in enumerate([1_793_491_200_500, "2026-11-01 01:00", 1_793_498_400_000.5]):
        empty.add("logs", {**log(number), "timestamp": stored})
    exported = dataset(source={"encodings": {"timestamp": "epoch_ms"}})
    manifest = export(empty.url, exported, DAY, store)
    assert [row["timestamp"] for row in rows(store, manifest)] == [
        "2026-11-01T00:00:00.500000Z", "2026-11-01T01:00:00.000000Z", "2026-11-01T02:00:00.000500Z",
    ]  # fmt: skip


def test_numbers_without_an_encoding_are_refused(empty: SqliteDatabase, store: LocalStore) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at)")
    empty.run("INSERT INTO v VALUES (1, '2026-11-01'), (2, 1793491200)")
    with pytest.raises(ColumnMismatchError, match="holds numbers") as caught:
        export(empty.url, values_dataset(source={"timezone": "UTC"}), DAY, store)
    assert "encodings: {at: epoch_s}" in caught.value.hint


@pytest.mark.parametrize("encoding", ["iso8601", "epoch_us"])
def test_one_day_of_many_is_read_through_the_index(database: SqliteDatabase, encoding: str) -> None:
    database.run("CREATE INDEX by_time ON logs (timestamp)")
    exported = dataset(source={"encodings": {"timestamp": encoding}})
    names = exported.schema.names
    query = SqliteDayQuery(exported, UTC_DAY, names, exported.schema, True, "utf-8")
    for statement in (query.counts(), query.rows()):
        with closing(sqlite3.connect(database.path)) as connection:
            connection.create_function("exporter_instant", 1, lambda _: 1, deterministic=True)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", query.parameters)
            steps = [step for *_, step in plan]
        assert any("by_time" in step for step in steps)
        # A subquery may be scanned, but not the table.
        assert not [step for step in steps if step.startswith("SCAN t")], steps


def test_a_source_needs_a_timezone(database: SqliteDatabase, store: LocalStore) -> None:
    with pytest.raises(ConfigurationError, match="no `timezone:`"):
        export(database.url, dataset(source={"timezone": None}), DAY, store)


# Keys


@pytest.mark.parametrize(
    ("definition", "repeated"),
    [
        ("id INTEGER PRIMARY KEY", 0),
        ("id INT NOT NULL PRIMARY KEY", 0),
        ("id TEXT NOT NULL UNIQUE", 0),
        ("id INTEGER, UNIQUE (id, timestamp)", 2),
        ("id INTEGER", 2),
    ],
)
def test_a_key_is_unique_if_the_table_says_so(
    empty: SqliteDatabase, store: LocalStore, definition: str, repeated: int
) -> None:
    head, _, tail = definition.partition(",")
    empty.run(f"CREATE TABLE logs ({head}, timestamp, level, message, source{tail and ','}{tail})")
    for number in range(4):
        key = number // 2 if repeated else number
        empty.add("logs", log(key, f"{DAY}T12:00:0{number}Z"))
    manifest = export(empty.url, dataset(), DAY, store)
    assert manifest.data_quality_metrics["repeated_keys"] == repeated
    kind = {c.name: c.type for c in manifest.columns}["id"]
    assert kind == ("string" if "TEXT" in definition else "int64")


def test_missing_keys_and_rowids_in_disguise(empty: SqliteDatabase, store: LocalStore) -> None:
    # Neither is an alias of the rowid, so both may be null, and null more than once.
    empty.run("CREATE TABLE logs (id INT PRIMARY KEY, timestamp, level, message, source)")
    empty.add("logs", log(1), {**log(0), "id": None}, {**log(0), "id": None})
    manifest = export(empty.url, dataset(), DAY, store)
    assert (manifest.record_count, manifest.counts.rejected) == (1, 2)


@pytest.mark.parametrize(
    ("statement", "is_unique"),
    [
        ("CREATE TABLE logs (id INTEGER PRIMARY KEY, {rest})", True),
        ("CREATE TABLE logs (id integer primary key autoincrement, {rest})", True),
        ("CREATE TABLE logs ({rest}, id INTEGER, PRIMARY KEY (id))", True),
        # No alias of the rowid: an index that takes null, and null more than once.
        ("CREATE TABLE logs (id INTEGER PRIMARY KEY DESC, {rest})", False),
        ("CREATE TABLE logs (id INTEGER NOT NULL PRIMARY KEY DESC, {rest})", True),
        ("CREATE TABLE logs (id INT PRIMARY KEY, {rest})", False),
        ("CREATE TABLE logs (id TEXT PRIMARY KEY, {rest}) WITHOUT ROWID", True),
        ("CREATE TABLE logs (id INTEGER PRIMARY KEY, {rest}) WITHOUT ROWID", True),
        ("CREATE TABLE logs (id TEXT, {rest}, PRIMARY KEY (id, level)) WITHOUT ROWID", False),
        ("CREATE TABLE logs (id INTEGER, {rest}, PRIMARY KEY (id, timestamp))", False),
        ("CREATE TABLE logs (id TEXT UNIQUE, {rest})", False),
        ("CREATE TABLE logs (id TEXT NOT NULL UNIQUE, {rest})", True),
        ("CREATE TABLE logs (id TEXT NOT NULL UNIQUE COLLATE NOCASE, {rest})", True),
        ("CREATE TABLE logs (id TEXT NOT NULL, {rest}, UNIQUE (id, timestamp))", False),
        ("CREATE TABLE logs (id TEXT NOT NULL, {rest}); CREATE INDEX i ON logs (id)", False),
        ("CREATE TABLE logs (id NOT NULL, {rest}); CREATE UNIQUE INDEX i ON logs (id DESC)", True),
        (
            "CREATE TABLE logs (id NOT NULL, {rest}); "
            "CREATE UNIQUE INDEX i ON logs (id) WHERE level = 'INFO'",
            False,
        ),
        (
            "CREATE TABLE logs (id NOT NULL, {rest}); CREATE UNIQUE INDEX i ON logs (lower(id))",
            False,
        ),
        (
            "CREATE TABLE logs (id NOT NULL, {rest}); "
            "CREATE UNIQUE INDEX i ON logs (lower(id), timestamp)",
            False,
        ),
        (
            'CREATE TABLE logs (id, "id.timestamp" NOT NULL, {rest}); '
            "CREATE UNIQUE INDEX i ON logs (id, timestamp)",
            False,
        ),
        ("CREATE TABLE all_logs (id INTEGER PRIMARY KEY, {rest}); "
         "CREATE VIEW logs AS SELECT * FROM all_logs", False),
    ],
)  # fmt: skip
def test_the_export_and_the_doctor_agree_on_which_keys_are_unique(
    empty: SqliteDatabase, statement: str, is_unique: bool
) -> None:
    for part in statement.format(rest="timestamp, level, message, source").split("; "):
        empty.run(part)
    key = "id.timestamp" if "id.timestamp" in statement else "id"
    logs = dataset(source={"columns": {"id": key}})
    with closing(SqliteConnection(empty.url, "URL")) as connection:
        assert SqliteTable(connection, logs).key_is_unique() is is_unique
    with open_inspection(empty.url, "URL") as inspection:
        relation = inspection.find(logs.config.source)
        assert relation
        assert (inspection.key_repeats(relation, key) is None) is is_unique
        assert (relation.key == key) is is_unique


# URLs and files


def refused(kind: type[ExporterError], url: str, store: LocalStore) -> str:
    with pytest.raises(kind) as caught:
        export(url, dataset(), DAY, store)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_relative_url_counts_from_the_working_directory(
    database: SqliteDatabase, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.add("logs", log(1))
    monkeypatch.chdir(database.path.parent)
    assert export("sqlite:///app.db", dataset(), DAY, store).record_count == 1


def test_a_name_with_odd_characters_is_opened(tmp_path: Path, store: LocalStore) -> None:
    odd = sqlite_database(tmp_path / "a b?mode=rw#%41.db")
    with_shipped_tables(odd)
    assert export(odd.url, dataset(), DAY, store).record_count == 0


@pytest.mark.parametrize("url", ["sqlite://app.db", "sqlite:///", "sqlite:app.db",
                                 "sqlite:///:memory:"])  # fmt: skip
def test_a_url_of_another_form_is_answered_with_the_forms(store: LocalStore, url: str) -> None:
    assert "sqlite:////absolute/path.db" in refused(ConfigurationError, url, store)


@pytest.mark.parametrize("path", ["nothing.db", "nowhere/nothing.db", "."])
def test_a_file_that_cannot_be_read_is_named_and_never_made(
    tmp_path: Path, store: LocalStore, path: str
) -> None:
    before = sorted(tmp_path.iterdir())
    message = refused(SourceUnavailableError, f"sqlite:///{tmp_path / path}", store)
    assert f"Cannot read the SQLite database {tmp_path / path}" in message
    assert sorted(p for p in tmp_path.iterdir() if p.name != "exports") == before


@pytest.mark.parametrize("content", [b"not a database, but long enough" * 9, b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_named(
    tmp_path: Path, store: LocalStore, content: bytes
) -> None:
    file = tmp_path / "app.db"
    file.write_bytes(content)
    assert str(file) in refused(SourceUnavailableError, f"sqlite:///{file}", store)


def test_an_empty_file_has_no_tables(tmp_path: Path, store: LocalStore) -> None:
    file = tmp_path / "app.db"
    file.touch()
    assert "there are: none" in refused(ConfigurationError, f"sqlite:///{file}", store)


# The application that writes

_WRITER = """
import sqlite3, sys, time
path, mode, action = sys.argv[1:]
db = sqlite3.connect(path, timeout=0, isolation_level=None)
db.execute(f"PRAGMA journal_mode = {mode}")
if action == "lock":
    db.execute("BEGIN EXCLUSIVE")
print("ready", flush=True)
if action == "lock":
    sys.stdin.read()
    sys.exit()
# timeout=0: a write that met a lock would fail at once.
written = 0
for line in sys.stdin:
    until = time.monotonic() + float(line)
    worst = 0.0
    while time.monotonic() < until:
        begun = time.monotonic()
        for _ in range(200):
            try:
                db.execute("UPDATE logs SET message = message WHERE id = 1")
                break
            except sqlite3.OperationalError:
                time.sleep(0.005)
        else:
            sys.exit("blocked for a second")
        worst = max(worst, time.monotonic() - begun)
        written += 1
        time.sleep(0.01)
    print(written, worst, flush=True)
"""


@contextmanager
def writer(path: Path, mode: str, action: str = "write") -> Iterator[subprocess.Popen[str]]:
    """An application in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_WRITER), path, mode, action],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(300)


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate"])
def test_the_application_goes_on_writing_while_a_day_is_read(
    database: SqliteDatabase, mode: str
) -> None:
    database.add("logs", *(log(n, message="x" * 20_000) for n in range(500)))
    with writer(database.path, mode) as application:
        assert application.stdin
        assert application.stdout
        if mode == "wal":  # its -wal lies there as soon as it has written
            application.stdin.write("0.1\n")
            application.stdin.flush()
            application.stdout.readline()
        with open_day(database.url, dataset(), UTC_DAY) as snapshot:
            batches = snapshot.batches(50)
            read = next(iter(batches)).num_rows
            application.stdin.write("1\n")
            application.stdin.flush()
            written, worst = application.stdout.readline().split()
            read += sum(batch.num_rows for batch in batches)
    assert snapshot.info.snapshot.startswith("wal" if mode == "wal" else "copy")
    assert read == 500
    assert int(written) > 20
    assert float(worst) < 0.5


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_that_stays_locked_is_said_to_be(
    database: SqliteDatabase, store: LocalStore, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    for name in ("BUSY_S", "PATIENCE_S"):
        monkeypatch.setattr(f"exporter_pipelines.sources.sqlite.copy.{name}", 0.3)
    database.add("logs", log(1))
    with writer(database.path, mode, "lock"):
        if mode == "wal":
            # In WAL mode a reader does not mind even that.
            assert export(database.url, dataset(), DAY, store).record_count == 1
        else:
            message = refused(SourceUnavailableError, database.url, store)
            assert "is locked or keeps changing" in message
            assert "journal_mode=WAL" in message
    assert export(database.url, dataset(), DAY, store).record_count == 1


@pytest.mark.parametrize("wal", [True, False])
def test_nothing_is_left_beside_the_file_nor_among_temporary_ones(
    tmp_path: Path, wal: bool
) -> None:
    database = sqlite_database(tmp_path / "app.db", wal=wal)
    with_shipped_tables(database)
    database.add("logs", *(log(n, message="x" * 50_000) for n in range(200)))
    before = database.path.read_bytes()
    with open_day(database.url, dataset(), UTC_DAY) as snapshot:
        assert next(iter(snapshot.batches(10))).num_rows == 10
        # The private copy has no name that could be left behind.
        (copy,) = open_copies()
        assert copy.endswith("(deleted)")
        assert names_in(tmp_path) == ["app.db"]
    assert not open_copies()
    assert names_in(tmp_path) == ["app.db"]
    assert database.path.read_bytes() == before


def settled(path: Path) -> None:
    """Let the last change of a file be long ago, as that of a file between two days usually is."""
    time.sleep(max(0.0, path.stat().st_ctime + 2.1 - time.time()))


@pytest.mark.parametrize("wal", [True, False])
def test_an_unchanged_file_is_copied_once_for_all_days(tmp_path: Path, wal: bool) -> None:
    database = sqlite_database(tmp_path / "app.db", wal=wal)
    with_shipped_tables(database)
    database.add("logs", *(log(n, message="x" * 50_000) for n in range(200)))
    settled(database.path)
    with databases(database.url) as session:
        copies = set()
        for _ in range(3):
            with session.day(dataset(), UTC_DAY) as snapshot:
                assert snapshot.info.snapshot.startswith("copy")
                assert sum(batch.num_rows for batch in snapshot.batches(10)) == 200
                copies |= open_copies()
            assert len(session.times_of(dataset(), pa.array([1, 500]), timeout_s=10)) == 1
            assert session.count_days(dataset(), [UTC_DAY], timeout_s=10) == {DAY: 200}
            copies |= open_copies()
        assert len(copies) == 1
    assert not open_copies()


@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("wal", [True, False])
def test_a_changed_file_is_copied_again(tmp_path: Path, wal: bool, is_settled: bool) -> None:
    database = sqlite_database(tmp_path / "app.db", wal=wal)
    with_shipped_tables(database)
    database.add("logs", log(1))
    if is_settled:
        settled(database.path)
    with databases(database.url) as session:
        for number in (1, 2, 3):
            with session.day(dataset(), UTC_DAY) as snapshot:
                assert snapshot.row_count == number
                assert sum(batch.num_rows for batch in snapshot.batches(10)) == number
            # The size stays: the page has room.
            database.add("logs", log(number + 1))


def test_a_copy_whose_day_was_not_read_to_its_end_is_not_kept(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "app.db")
    with_shipped_tables(database)
    database.add("logs", *(log(n, message="x" * 50_000) for n in range(200)))
    settled(database.path)
    with databases(database.url) as session:
        with session.day(dataset(), UTC_DAY) as snapshot:
            assert next(iter(snapshot.batches(10))).num_rows == 10
        assert not open_copies()
        with session.day(dataset(), UTC_DAY) as snapshot:
            assert sum(batch.num_rows for batch in snapshot.batches(10)) == 200


def open_copies() -> set[str]:
    """The private copies that this process has open; SQLite keeps small ones in memory."""
    return {file for file in open_files() if "etilqs" in file}


def open_files() -> Iterator[str]:
    """What the descriptors of this process lead to."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            yield str(descriptor.readlink())


def copies_of_a_source() -> list[str]:
    """Open files in a private folder of `sources.sqlite.copy`."""
    return [file for file in open_files() if re.search(r"/exporter-\w{8}/", file)]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_transaction_that_its_application_never_ended_is_not_seen(
    tmp_path: Path, store: LocalStore
) -> None:
    database = sqlite_database(tmp_path / "app.db", wal=True)
    with_shipped_tables(database)
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("INSERT INTO logs (id, timestamp) VALUES (9, ?)", [NOON])
        assert export(database.url, dataset(), DAY, store).counts.read == 0


@pytest.mark.parametrize("wal", [True, False])
def test_what_a_crashed_application_left_is_never_read_as_data(
    tmp_path: Path, store: LocalStore, wal: bool
) -> None:
    (tmp_path / "app").mkdir()
    database = sqlite_database(tmp_path / "app" / "app.db", wal=wal)
    with_shipped_tables(database)
    database.add("logs", *(log(n, message="x" * 3_000) for n in range(100)))
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 2")  # so that half of it is in the file
        connection.execute("UPDATE logs SET message = 'committed' WHERE id = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE logs SET message = 'torn' || message")
        shutil.copytree(tmp_path / "app", tmp_path / "crashed")
    left = f"sqlite:///{tmp_path / 'crashed' / 'app.db'}"
    if wal:
        read = rows(store, export(left, dataset(), DAY, store))
        assert {row["message"][:9] for row in read} == {"committed", "x" * 9}
    else:
        message = refused(SourceUnavailableError, left, store)
        assert "its application did not end a transaction" in message
        assert "start it once" in message


def test_a_copied_file_with_its_log_alone_is_read_without_a_trace(
    tmp_path: Path, store: LocalStore
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "copied").mkdir()
    database = sqlite_database(tmp_path / "app" / "app.db", wal=True)
    with_shipped_tables(database)
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("SELECT count(*) FROM logs")  # so that the log is not checkpointed
        database.add("logs", *(log(n, message="x" * 3_000) for n in range(100)))
        for name in ("app.db", "app.db-wal"):
            shutil.copy(tmp_path / "app" / name, tmp_path / "copied")
    copied = tmp_path / "copied"
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    url = f"sqlite:///{copied / 'app.db'}"
    with open_day(url, dataset(), UTC_DAY) as snapshot:
        assert snapshot.info.snapshot.startswith("copy")
        assert sum(batch.num_rows for batch in snapshot.batches(30)) == 100
        assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
        private = copies_of_a_source()
        assert private
        assert all(file.endswith("(deleted)") for file in private)
    with databases(url) as session:
        found = session.times_of(dataset(), pa.array([1, 2, 500]), timeout_s=10)
    assert sorted(found["key"].to_pylist()) == [1, 2]
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert not copies_of_a_source()


# Two databases in one project


def test_each_dataset_reads_its_own_database(backend: Backend, project: Project) -> None:
    file = sqlite_database(project.path / "findings.db")
    with_shipped_tables(file)
    PostgresDatabase(backend).add("logs", log(1), log(2))
    file.add("anomalies", {"id": 7, "timestamp": NOON, "type": "spike", "score": 0.5,
                           "details": {}})  # fmt: skip
    project.set(EXPORTER_ANOMALIES_URL="sqlite:///findings.db")
    project.edit("anomalies", "url: EXPORTER_SOURCE_URL", "url: EXPORTER_ANOMALIES_URL")
    done = project.materialize("logs,anomalies", partition=DAY)
    assert done.code == 0, done.last_words
    manifests = [project.manifest(name, DAY) for name in ("logs", "anomalies")]
    assert [(m.source.kind, m.record_count) for m in manifests if m] == [
        ("postgresql", 2), ("sqlite", 1)
    ]  # fmt: skip


def test_a_failed_export_lets_go_of_the_file(database: SqliteDatabase, store: LocalStore) -> None:
    database.add("logs", log(1))
    begun = time.monotonic()
    with pytest.raises(ColumnMismatchError):
        export(database.url, dataset(source={"columns": {"ip": "nothing"}}), DAY, store)
    database.run("DROP TABLE logs")
    assert time.monotonic() - begun < 5


# Memory


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(database: SqliteDatabase, tmp_path: Path) -> None:
    few, many = 40_000, 160_000
    for day, count in ((DAY, few), ("2026-11-02", many)):
        database.run(
            f"""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {count})
            INSERT INTO logs SELECT {count} + i, '{day}T12:00:00.' || printf('%06d', i) || 'Z',
            'INFO', 'request ' || i || ' ' || hex(randomblob(60)), 'app', 'edge', '10.0.0.1',
            '{{"n": ' || i || '}}' FROM n"""
        )
    peaks = []
    for day in (DAY, "2026-11-02"):
        done = subprocess.run(
            [sys.executable, "-m", "exporter_pipelines_tests.support.peak_memory", "export",
             database.url, tmp_path / "exports", day],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout.split()[1]))
    assert peaks[1] < peaks[0] * 1.2, peaks
    assert max(peaks) < 400, peaks
