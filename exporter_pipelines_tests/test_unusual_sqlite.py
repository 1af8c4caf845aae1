"""No table, name, collation or encoding of a SQLite file stops a day."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.errors import ColumnMismatchError, ConfigurationError, ExporterError
from exporter_pipelines.sources import open_inspection
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import SqliteDatabase, sqlite_database
from exporter_pipelines_tests.support.datasets import databases, export, rejected, rows
from exporter_pipelines_tests.test_postgres_values import values_dataset
from exporter_pipelines_tests.test_sources import DAY, NOON


@pytest.fixture
def empty(tmp_path: Path) -> SqliteDatabase:
    """A file without tables."""
    return sqlite_database(tmp_path / "app.db")


def read(database: SqliteDatabase, store: LocalStore, **changes: Any) -> list[dict[str, Any]]:
    """The rows of the table `v`, exported."""
    return rows(store, export(database.url, of_v(**changes), DAY, store))


def of_v(**changes: Any) -> Any:
    source = {"timezone": "UTC", **changes.pop("source", {})}
    return values_dataset(source=source, max_rejected_pct=100, **changes)


# Collations


def run_as_application(database: SqliteDatabase, script: str) -> None:
    """Run a script in a process that has the collations LOCALIZED and "my order"."""
    with closing(sqlite3.connect(database.path)) as connection:
        for name in ("LOCALIZED", "my order"):
            # Backwards, so that an index in this order finds nothing in the usual order.
            connection.create_collation(name, lambda a, b: (a < b) - (a > b))
        connection.executescript(script)


@pytest.fixture
def localized(empty: SqliteDatabase) -> SqliteDatabase:
    """A table whose key, time and text are in collations of its application, with indexes."""
    run_as_application(
        empty,
        f"""
        CREATE TABLE v (id TEXT NOT NULL PRIMARY KEY COLLATE LOCALIZED,
            at TEXT COLLATE /* of phones */ "my order", text TEXT COLLATE [my order]);
        CREATE INDEX by_time ON v (at);
        CREATE TABLE other (text TEXT PRIMARY KEY COLLATE localized);
        INSERT INTO v VALUES ('a', '{NOON}', 'x'), ('B', '2026-11-01 09:30', 'y'),
            ('c', '2026-11-02 00:00', 'z'), ('d', '2026-10-31 23:59', 'z');
        INSERT INTO other VALUES ('x'), ('y');
        CREATE VIEW joined AS SELECT v.* FROM other JOIN v ON other.text = v.id COLLATE LOCALIZED;
        CREATE VIEW plain AS SELECT * FROM v;
        """,
    )
    return empty


@pytest.mark.parametrize("table", ["v", "plain"])
def test_a_collation_of_the_application_neither_stops_a_day_nor_hides_rows(
    localized: SqliteDatabase, store: LocalStore, table: str
) -> None:
    exported = of_v(source={"table": table})
    manifest = export(localized.url, exported, DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == ["B", "a"]
    with databases(localized.url) as session:
        found = session.times_of(exported, pa.array(["a", "d", "A"]), timeout_s=10)
    assert sorted(found["key"].to_pylist()) == ["a", "d"]
    with open_inspection(localized.url, "X") as inspection:
        relation = inspection.find(exported.config.source)
        assert relation is not None
        inspection.key_repeats(relation, "id")
        span = inspection.span(relation, "at", exported.config.source, "UTC")
    assert span is not None
    assert (span.first, span.last) == ("2026-10-31", "2026-11-02")


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"table": "joined"}},
        {"source": {"table": None, "query": "SELECT * FROM v WHERE text < 'y'"}},
        {"rules": [{"name": "early", "sql": "text < 'y'"}]},
    ],
)
def test_rows_that_only_the_application_can_compare_are_refused_with_the_collation(
    localized: SqliteDatabase, store: LocalStore, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"collation (LOCALIZED|my order) is") as caught:
        read(localized, store, **changes)
    assert "COLLATE BINARY" in caught.value.hint


def test_a_comparison_that_names_its_collation_is_no_obstacle(
    localized: SqliteDatabase, store: LocalStore
) -> None:
    query = "SELECT * FROM v WHERE text COLLATE BINARY < 'y'"
    assert len(read(localized, store, source={"table": None, "query": query})) == 1


# Columns and names


@pytest.mark.parametrize(("count", "key"), [(1_000, "PRIMARY KEY"), (1_998, "")])
@pytest.mark.parametrize("declared", ["INTEGER", "TEXT"])
def test_a_table_of_as_many_columns_as_there_can_be(
    empty: SqliteDatabase, store: LocalStore, count: int, key: str, declared: str
) -> None:
    columns = ", ".join(f"c{n} {declared}" for n in range(count))
    empty.run(f"CREATE TABLE v (id INTEGER {key}, at TEXT, {columns})")
    last = f"c{count - 1}"
    for number, value in ((1, "'2'"), (2, "'1'"), (3, "x'00ff'"), (4, f"'{'x' * 200}'")):
        empty.run(f"INSERT INTO v (id, at, {last}) VALUES ({number}, '{NOON}', {value})")
    manifest = export(empty.url, of_v(extra_columns="keep", max_value_bytes=100), DAY, store)
    delivered = [row[last] for row in rows(store, manifest)]
    reasons = [row["rejections"] for row in rejected(store, manifest)]
    if declared == "INTEGER":
        assert delivered == [2, 1]
        assert [reason["rule"] for (reason,) in reasons] == ["not_an_integer", "value_too_large"]
    else:
        assert delivered == ["2", "1", "\\x00ff"]
        assert [(r["rule"], r["column"]) for (r,) in reasons] == [("value_too_large", last)]


def test_rules_on_the_widest_table_are_checked_or_refused_with_the_limit(
    empty: SqliteDatabase, store: LocalStore
) -> None:
    columns = ", ".join(f"c{n} TEXT" for n in range(1_998))
    empty.run(f"CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, {columns})")
    empty.run(f"INSERT INTO v (id, at) VALUES (1, '{NOON}'), (2, '{NOON}')")
    rule = {"name": "first", "sql": "id = 1"}
    with pytest.raises(ConfigurationError, match=r"2,000 columns and 1 SQL rule,") as caught:
        read(empty, store, extra_columns="keep", rules=[rule])
    assert "Export fewer columns" in caught.value.hint
    empty.run("ALTER TABLE v DROP COLUMN c7")
    manifest = export(empty.url, of_v(extra_columns="keep", rules=[rule]), DAY, store)
    assert (manifest.counts.exported, manifest.counts.rejected) == (1, 1)


@pytest.mark.parametrize("name", ["a.b", 'odd "name" [x]', "main", "main.x", "größe '", "a.b.c"])
@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_a_table_or_view_of_any_name_is_read(
    empty: SqliteDatabase, store: LocalStore, name: str, kind: str
) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    column = '"a.""b"" c"'
    base = quoted if kind == "TABLE" else "base"
    empty.run(f"CREATE TABLE {base} (id INTEGER PRIMARY KEY, at TEXT, {column} TEXT)")
    empty.run(f"INSERT INTO {base} VALUES (1, '{NOON}', 'x')")
    if kind == "VIEW":
        empty.run(f"CREATE VIEW {quoted} AS SELECT * FROM base")
    source = {"table": f"main.{name}", "columns": {"text": 'a."b" c'}}
    (row,) = read(empty, store, source=source)
    assert row["text"] == "x"
    if not name.startswith("main."):
        assert len(read(empty, store, source={**source, "table": name})) == 1
    with open_inspection(empty.url, "X") as inspection:
        written = f"main.{name}" if name.startswith("main.") else name
        assert written in [relation.name for relation in inspection.relations()]
        relation = inspection.find(of_v(source=source).config.source)
        assert relation is not None
        assert inspection.key_repeats(relation, "id") in (None, False)


def test_a_broken_view_hides_no_table_from_the_doctor(empty: SqliteDatabase) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT)")
    empty.run("CREATE VIEW broken AS SELECT * FROM nowhere")
    empty.run("CREATE VIEW foreign_function AS SELECT phone_number(id) FROM v")
    with open_inspection(empty.url, "X") as inspection:
        found = {relation.name: relation.readable for relation in inspection.relations()}
        assert found == {"broken": False, "foreign_function": False, "v": True}
        with pytest.raises(ExporterError, match="no such function: phone_number"):
            inspection.find(of_v(source={"table": "foreign_function"}).config.source)


def test_a_column_that_only_the_application_can_compute_does_not_stop_the_others(
    empty: SqliteDatabase, store: LocalStore
) -> None:
    with closing(sqlite3.connect(empty.path)) as connection, connection:
        connection.create_function("folded", 1, str, deterministic=True)
        connection.execute(
            "CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, text TEXT, "
            "doc TEXT GENERATED ALWAYS AS (folded(text)) VIRTUAL, "
            "other TEXT GENERATED ALWAYS AS (folded(text)) VIRTUAL)"
        )
        connection.execute("CREATE INDEX by_folded ON v (folded(text))")
        connection.execute("CREATE VIEW computed AS SELECT id, at, folded(text) AS text FROM v")
        connection.execute(f"INSERT INTO v VALUES (1, '{NOON}', '[1]')")
    with pytest.raises(ColumnMismatchError, match=r"'doc' .* cannot be read: unknown function"):
        read(empty, store)
    mapped = {"source": {"columns": {"doc": "text"}}, "extra_columns": "keep"}
    assert [row["text"] for row in read(empty, store, **mapped)] == ["[1]"]
    with pytest.raises(ConfigurationError, match=r"'computed' .* cannot be read: no such function"):
        read(empty, store, source={"table": "computed"})
    with open_inspection(empty.url, "X") as inspection:
        (relation,) = (each for each in inspection.relations() if each.readable)
    assert list(relation.types) == ["id", "at", "text"]


# Encodings and JSONB


def test_a_file_in_utf16_is_read_like_one_in_utf8(tmp_path: Path, store: LocalStore) -> None:
    found = {}
    for encoding in ("UTF-8", "UTF-16le", "UTF-16be"):
        database = SqliteDatabase(tmp_path / f"{encoding}.db")
        with closing(sqlite3.connect(database.path)) as connection, connection:
            connection.execute(f"PRAGMA encoding = '{encoding}'")
            connection.execute("CREATE TABLE v (id TEXT NOT NULL PRIMARY KEY, at TEXT, text, doc)")
            stored: list[tuple[str, Any, Any]] = [
                ("ä", "größe \U0001f600", '{"a": "中"}'),
                ("b", 7, jsonb_object()),
                ("c", b"\x00\xff", "{"),
                ("d", "x" * 300, None),
            ]
            for key, text, doc in stored:
                connection.execute(f"INSERT INTO v VALUES (?, '{NOON}', ?, ?)", (key, text, doc))
        folder = LocalStore(store.root / encoding)
        manifest = export(database.url, of_v(max_value_bytes=200), DAY, folder)
        reasons = [row["rejections"] for row in rejected(folder, manifest)]
        found[encoding] = rows(folder, manifest), reasons
        with databases(database.url) as session:
            times = session.times_of(of_v(), pa.array(["ä"]), timeout_s=10)
        assert times["key"].to_pylist() == ["ä"]
    assert [row["text"] for row in found["UTF-8"][0]] == ["7", "größe \U0001f600"]
    assert found["UTF-8"] == found["UTF-16le"] == found["UTF-16be"]


def element(kind: int, payload: bytes = b"") -> bytes:
    """An element of JSONB, see https://sqlite.org/jsonb.html."""
    if len(payload) < 12:
        return bytes([len(payload) << 4 | kind]) + payload
    return bytes([0xD0 | kind]) + len(payload).to_bytes(2, "big") + payload


def jsonb_object() -> bytes:
    return element(12, element(7, b"a") + element(3, b"1"))


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (jsonb_object(), {"a": 1}),
        (element(11, element(0) + element(1) + element(2)), [None, True, False]),
        (element(11, element(4, b"0x1F") + element(4, b"-0xa") + element(4, b"+7")), [31, -10, 7]),
        (
            element(11, element(5, b"1.5e3") + element(6, b".5") + element(6, b"-5.")),
            [1500, 0.5, -5],
        ),
        (element(7, "größe".encode()), "größe"),
        (element(8, b'a\\n\\"\\ud83d\\ude00'), 'a\n"\U0001f600'),
        (element(9, b'it\\\'s \\x41\\v\\0 "q" a\\\nb'), 'it\'s A\x0b\0 "q" ab'),
        (element(10, b'raw " \\ \n'), 'raw " \\ \n'),
        (element(11, element(7, b"x" * 5000)), ["x" * 5000]),
    ],
)
def test_jsonb_of_newer_sqlite_is_read(
    empty: SqliteDatabase, store: LocalStore, blob: bytes, expected: Any
) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, doc BLOB)")
    empty.add("v", {"id": 1, "at": NOON, "doc": blob})
    assert [row["doc"] for row in read(empty, store)] == [expected]


@pytest.mark.parametrize(
    "blob",
    [
        b"\x13", b"\x0d", element(1, b"x"), element(3, b"1x"), element(6, b"."),
        element(7, b"\xff"), element(8, b'a"b'), element(12, element(7, b"a")),
        element(12, element(3, b"1") * 2),
        element(11) * 2, element(11, b"\x5c"), element(8, b"\\ud800"),
    ],
)  # fmt: skip
def test_a_blob_that_is_no_json_is_rejected(
    empty: SqliteDatabase, store: LocalStore, blob: bytes
) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, doc BLOB)")
    empty.add("v", {"id": 1, "at": NOON, "doc": blob}, {"id": 2, "at": NOON, "doc": b"[1]"})
    manifest = export(empty.url, of_v(), DAY, store)
    assert [row["doc"] for row in rows(store, manifest)] == [[1]]
    (row,) = rejected(store, manifest)
    assert [reason["rule"] for reason in row["rejections"]] in (
        ["invalid_json"], ["undecodable_text"],
    )  # fmt: skip


def test_advice_is_never_to_repeat_what_cannot_succeed(
    empty: SqliteDatabase, store: LocalStore
) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, text TEXT)")
    empty.run(f"INSERT INTO v VALUES (1, '{NOON}', '[' )")
    query = "SELECT *, json_extract(text, '$') AS doc FROM v"
    with pytest.raises(ExporterError, match="malformed JSON") as caught:
        read(empty, store, source={"table": None, "query": query})
    assert not caught.value.retryable
    assert "again" not in str(caught.value)


def test_the_home_folder_can_be_written_with_a_tilde(
    empty: SqliteDatabase, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT)")
    monkeypatch.setenv("HOME", str(empty.path.parent))
    manifest = export("sqlite:///~/app.db", of_v(), DAY, store)
    assert manifest.record_count == 0
    with pytest.raises(ConfigurationError, match="home folder of a user who is not known"):
        export("sqlite:///~no-such-user/app.db", of_v(), DAY, store)
