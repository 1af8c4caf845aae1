"""No table, type, role or setting of a PostgreSQL database stops a day or changes its bytes."""

# ruff: noqa: UP045 - Pandera evaluates annotations, and pa.string is no class

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pandera.pandas as pandera
import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import conninfo_to_dict

from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.doctor.mapping import matched
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    ExporterError,
    SourceUnavailableError,
)
from exporter_pipelines.sources import open_inspection
from exporter_pipelines.sources.postgres.connection import Limits, PostgresConnection
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.datasets import (
    databases,
    dataset,
    export,
    rejected,
    rows,
)
from exporter_pipelines_tests.support.doctor_runs import Doctor
from exporter_pipelines_tests.test_postgres_values import (
    DAY,
    NOON,
    ValueRow,
    deliver,
    values_dataset,
)


def all_columns(**changes: Any) -> Any:
    """A dataset of the table `v` with every column that it has."""
    return values_dataset(extra_columns="keep", max_rejected_pct=100, **changes)


def sha256_of(manifest: Manifest) -> list[str]:
    return [file.sha256 for file in manifest.files]


# Tables


def test_a_table_of_more_columns_than_a_function_takes_arguments(
    empty_db: Backend, store: LocalStore
) -> None:
    texts = [f"t{n}" for n in range(150)]
    numbers = [f"n{n}" for n in range(60)]
    columns = [*(f"{t} text" for t in texts), *(f"{n} numeric" for n in numbers)]
    empty_db.run(f"CREATE TABLE v (id int PRIMARY KEY, at timestamptz, {', '.join(columns)})")
    empty_db.run(f"INSERT INTO v (id, at, t149) VALUES (1, '{NOON}', 'a'), (2, '{NOON}', %s)",
                 ["x" * 200])  # fmt: skip
    manifest = export(empty_db.url, all_columns(max_value_bytes=100), DAY, store)
    assert [(len(row), row["t149"]) for row in rows(store, manifest)] == [(218, "a")]
    (row,) = rejected(store, manifest)
    assert [(r["rule"], r["column"]) for r in row["rejections"]] == [("value_too_large", "t149")]


def test_a_table_of_as_many_columns_as_there_can_be_without_a_unique_key(
    empty_db: Backend, store: LocalStore
) -> None:
    columns = ", ".join(f"b{n} boolean" for n in range(1_597))
    empty_db.run(f"CREATE TABLE v (id int, at timestamptz, {columns})")
    for value in ("true", "false"):
        empty_db.run(f"INSERT INTO v (id, at, b1596) VALUES (1, '{NOON}', {value})")
    manifest = export(empty_db.url, all_columns(), DAY, store)
    assert [row["b1596"] for row in rows(store, manifest)] == [False, True]
    assert manifest.data_quality_metrics["repeated_keys"] == 1


def test_an_exported_name_may_be_longer_than_the_names_of_postgresql(
    empty_db: Backend, store: LocalStore
) -> None:
    # The column with the longest name comes last. PostgreSQL would cut off both.
    empty_db.run(f"CREATE TABLE v (id int PRIMARY KEY, at timestamptz, a text, {'ö' * 31} text)")
    empty_db.run(f"INSERT INTO v VALUES (1, '{NOON}', 'first', 'second')")
    names = [f"{'ö' * 40}_{n}" for n in (1, 2)]
    model = long_names(*names)
    source = {"table": "v", "key": "id", "time_column": "at",
              "columns": {names[0]: "a", names[1]: "ö" * 31}}  # fmt: skip
    exported = dataset(schema=model, source=source, transforms=[])
    (row,) = rows(store, export(empty_db.url, exported, DAY, store))
    assert [row[name] for name in names] == ["first", "second"]


@pytest.mark.parametrize("unique", [True, False])
def test_a_column_name_is_cut_off_as_postgresql_cuts_it_off(
    empty_db: Backend, store: LocalStore, unique: bool
) -> None:
    name, cut = "ä" * 31 + "öü", "ä" * 31  # 63 bytes would end within the ö
    empty_db.run(f"CREATE TABLE v (id int{' PRIMARY KEY' * unique}, at timestamptz, {name} text)")
    empty_db.run(f"INSERT INTO v VALUES (1, '{NOON}', 'kept')")
    query = f"SELECT id, at, {cut} AS {name} FROM v"
    for source in ({"table": "v"}, {"table": None, "query": query}):
        exported = dataset(
            schema=long_names(name), transforms=[],
            source={"key": "id", "time_column": "at", "updated_column": name, **source},
        )  # fmt: skip
        manifest = export(empty_db.url, exported, DAY, store)
        assert [row[name] for row in rows(store, manifest)] == ["kept"]
        assert manifest.source.columns_not_exported == []
        with open_inspection(empty_db.url, "EXPORTER_SOURCE_URL") as inspection:
            relation = inspection.find(exported.config.source)
            assert relation is not None
            assert matched(exported, inspection, relation)[name] == cut


def test_two_names_that_postgresql_cuts_off_to_one_are_refused(
    empty_db: Backend, store: LocalStore
) -> None:
    names = [f"{'k' * 63}_{number}" for number in (1, 2)]
    empty_db.run(f"CREATE TABLE v (id int PRIMARY KEY, at timestamptz, {names[0]} text)")
    source = {"table": "v", "key": "id", "time_column": "at"}
    exported = dataset(schema=long_names(*names), source=source, transforms=[])
    with pytest.raises(ColumnMismatchError, match="are the same for PostgreSQL"):
        export(empty_db.url, exported, DAY, store)


def long_names(*names: str) -> str:
    """Path of a model with text columns of these names."""
    fields = {f"field{n}": pandera.Field(nullable=True, alias=name) for n, name in enumerate(names)}
    hints = {f"field{n}": Optional[pa.string] for n in range(len(names))}
    model = type("LongNames", (ValueRow,), {"__annotations__": hints, **fields})
    model.__module__ = __name__
    globals()["LongNames"] = model
    return f"{__name__}.LongNames"


# Roles


@contextmanager
def reader_of(backend: Backend, grants: str) -> Iterator[str]:
    """URL of a role with the privileges that SQL with `{role}` grants."""
    role = f"reader_{secrets.token_hex(6)}"
    backend.run(f"CREATE ROLE {role} LOGIN; {grants.format(role=role)}")
    try:
        yield backend.url.replace("postgres@", f"{role}@", 1)
    finally:
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_role_that_may_read_only_the_exported_columns_exports_them(
    backend: Backend, store: LocalStore
) -> None:
    backend.run("ALTER TABLE logs ADD secret text, DROP CONSTRAINT logs_pkey")
    backend.add_logs(DAY, 3)
    backend.run("UPDATE logs SET id = 1 WHERE id = 2")
    named = ", ".join(dataset().schema.names)
    with reader_of(backend, f"GRANT SELECT ({named}) ON logs TO {{role}}") as url:
        manifest = export(url, dataset(), DAY, store)
        assert (manifest.record_count, manifest.data_quality_metrics["repeated_keys"]) == (3, 1)
        with databases(url) as session:
            found = session.times_of(dataset(), pa.array([1, 3]), timeout_s=10)
        assert sorted(found["key"].to_pylist()) == [1, 1, 3]


def test_a_needed_column_that_a_role_may_not_read_is_named(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 1)
    named = ", ".join(name for name in dataset().schema.names if name != "device")
    with (
        reader_of(backend, f"GRANT SELECT ({named}) ON logs TO {{role}}") as url,
        pytest.raises(ColumnMismatchError, match=r"'device' .* may not be read") as caught,
    ):
        export(url, dataset(), DAY, store)
    assert 'GRANT SELECT ("device") ON logs' in caught.value.hint


def test_the_doctor_examines_a_table_whose_columns_are_granted_one_by_one(
    backend: Backend, doctor: Doctor
) -> None:
    backend.run("ALTER TABLE logs ADD secret text")
    named = ", ".join(dataset().schema.names)
    with reader_of(backend, f"GRANT SELECT ({named}) ON logs TO {{role}}") as url:
        doctor.set(EXPORTER_SOURCE_URL=url)
        doctor.run("--dataset", "logs")
        assert not [found for found in doctor.said if found["level"] == "FAIL"], doctor.output
        assert "secret" not in doctor.found("ok", "columns")["message"]


# Types


@pytest.mark.parametrize(
    ("definition", "key_type", "first", "second"),
    [
        ("", "point", "(1,2)", "(3,4)"),
        ("", "json", "1", "2"),
        ("", "xid", "5", "7"),
        ("", "json[]", "{1}", "{2}"),
        ("CREATE TYPE pair AS (a int, b json)", "pair", "(1,2)", "(3,4)"),
        ("CREATE DOMAIN place AS point", "place", "(1,2)", "(3,4)"),
        ("CREATE TYPE mood AS ENUM ('sad', 'glad')", "mood", "sad", "glad"),
        ("", "money", "12.50", "-7.00"),
    ],
)
def test_a_key_of_any_type_orders_counts_and_finds_rows(
    empty_db: Backend, store: LocalStore, definition: str, key_type: str, first: str, second: str
) -> None:
    if definition:
        empty_db.run(definition)
    empty_db.run(f"CREATE TABLE v (id {key_type}, at timestamptz)")
    for value in (second, first, second):
        empty_db.run(f"INSERT INTO v VALUES ('{value}', '{NOON}')")
    manifest = export(empty_db.url, values_dataset(), DAY, store)
    assert sorted(row["id"] for row in rows(store, manifest)) == sorted([first, second, second])
    assert manifest.data_quality_metrics["repeated_keys"] == 1
    with databases(empty_db.url) as session:
        found = session.times_of(values_dataset(), pa.array([first]), timeout_s=10)
    assert found["key"].to_pylist() == [first]


NAMESAKES = ("citext", "money", "name", "inet", "numeric", "json", "int8", "timestamptz")


def test_a_type_with_the_name_of_a_built_in_one_is_not_taken_for_it(
    empty_db: Backend, store: LocalStore
) -> None:
    empty_db.run("CREATE SCHEMA app")
    for name in NAMESAKES:
        empty_db.run(f"CREATE TYPE app.{name} AS ENUM ('a')")
    empty_db.run("CREATE DOMAIN app.text AS int; CREATE DOMAIN doc AS app.citext[]")
    columns = ", ".join(f"c_{name} app.{name}" for name in NAMESAKES)
    empty_db.run(
        "CREATE TABLE v (id app.int8 PRIMARY KEY, at timestamptz, text app.text, doc doc, "
        f"{columns})"
    )
    empty_db.run(f"INSERT INTO v SELECT 'a', '{NOON}', 7, '{{a,a}}'" + ", 'a'" * len(NAMESAKES))
    manifest = export(empty_db.url, all_columns(), DAY, store)
    (row,) = rows(store, manifest)
    assert (row["id"], row["text"], row["doc"]) == ("a", "7", ["a", "a"])
    assert {row[f"c_{name}"] for name in NAMESAKES} == {"a"}
    with open_inspection(empty_db.url, "X") as inspection:
        relation = inspection.find(values_dataset().config.source)
    assert relation is not None
    assert relation.types["c_money"] == "app.money"
    assert relation.types["text"] == "int4"


def test_a_type_that_postgresql_cannot_send_is_exported_as_text(
    empty_db: Backend, store: LocalStore
) -> None:
    empty_db.run("CREATE DOMAIN access AS aclitem")
    empty_db.run(
        "CREATE TABLE v (id aclitem, at timestamptz, text access, doc aclitem[], other aclitem)"
    )
    value = "postgres=r/postgres"
    empty_db.run(f"INSERT INTO v SELECT a, '{NOON}', a, ARRAY[a], a FROM (SELECT %s::aclitem) x(a)",
                 [value])  # fmt: skip
    (row,) = rows(store, export(empty_db.url, all_columns(), DAY, store))
    assert (row["id"], row["text"], row["doc"], row["other"]) == (value, value, [value], value)


def test_the_extension_citext_is_still_text(empty_db: Backend, store: LocalStore) -> None:
    try:
        empty_db.run("CREATE EXTENSION citext")
    except psycopg.Error:
        pytest.skip("this server lacks the extension citext")
    empty_db.run(f"CREATE TABLE v (id citext PRIMARY KEY, at citext); "
                 f"INSERT INTO v VALUES ('b', '{NOON}'), ('A', '{NOON}')")  # fmt: skip
    exported = values_dataset(source={"timezone": "UTC"})
    manifest = export(empty_db.url, exported, DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == ["A", "b"]


@pytest.mark.parametrize(
    ("definition", "pg_type", "literal", "expected"),
    [
        ("", "json[]", r"""ARRAY['{"a": "\u0000"}', E'[1,\n2]']::json[]""", [{"a": "\0"}, [1, 2]]),
        ("CREATE TYPE note AS (nr int, body json)", "note[]",
         r"""ARRAY[ROW(1, '"\u0000"')]::note[]""", [{"nr": 1, "body": "\0"}]),
        ("CREATE DOMAIN raw AS json", "raw[]", r"""ARRAY['"\u0000"']::raw[]""", ["\0"]),
        ("CREATE TYPE mood AS ENUM ('sad')", "mood[]", "'{sad}'", ["sad"]),
        ("", "money[]", "ARRAY['1.50']::money[]", ["1.50"]),
        ("", "point[]", "ARRAY['(1,2)']::point[]", ["(1,2)"]),
    ],
)  # fmt: skip
def test_arrays_become_json_even_if_jsonb_cannot_hold_them(
    empty_db: Backend, store: LocalStore, definition: str, pg_type: str, literal: str, expected: Any
) -> None:
    if definition:
        empty_db.run(definition)
    delivered = deliver(empty_db, store, "doc", pg_type, literal, "NULL")
    assert (delivered.values, delivered.reasons) == ([expected, None], [])


def test_text_in_a_nondeterministic_collation_can_be_the_time(
    empty_db: Backend, store: LocalStore
) -> None:
    try:
        empty_db.run(
            "CREATE COLLATION ci "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except psycopg.Error:
        pytest.skip("this server has no ICU collations")
    empty_db.run("CREATE TABLE v (id text COLLATE ci, at text COLLATE ci, text text COLLATE ci)")
    for key in ("a", "A"):
        empty_db.run(f"INSERT INTO v VALUES ('{key}', '2026-11-01T09:00:00Z', 'x')")
    manifest = export(empty_db.url, values_dataset(source={"timezone": "UTC"}), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == ["A", "a"]
    assert manifest.data_quality_metrics["repeated_keys"] == 0


@pytest.mark.parametrize("pg_type", ["text", "char(40)"])
def test_text_in_a_collation_that_sorts_digits_as_one_number_can_be_the_time(
    empty_db: Backend, store: LocalStore, pg_type: str
) -> None:
    try:
        empty_db.run("CREATE COLLATION number (provider = icu, locale = 'en-u-kn-true')")
    except psycopg.Error:
        pytest.skip("this server has no ICU collations")
    empty_db.run(f"CREATE TABLE v (id bigint PRIMARY KEY, at {pg_type} COLLATE number)")
    times = ("20261101093000", "2026-11-01 09:30", "2026/11/01 09:30", "20261101")
    for number, text in enumerate(times):
        empty_db.run("INSERT INTO v VALUES (%s, %s)", [number, text])
    exported = values_dataset(source={"timezone": "UTC"})
    assert export(empty_db.url, exported, DAY, store).record_count == len(times)
    with databases(empty_db.url) as session:
        days = session.count_days(exported, [DayWindow.of(DAY, "UTC")], timeout_s=30)
    assert days == {DAY: len(times)}


# Settings

HOSTILE = {
    "TimeZone": "'Asia/Kathmandu'", "timezone_abbreviations": "'Australia'",
    "DateStyle": "'SQL, DMY'", "IntervalStyle": "'sql_standard'", "bytea_output": "'escape'",
    "extra_float_digits": "-15", "xmlbinary": "'hex'", "xmloption": "'document'",
    "client_encoding": "'LATIN1'", "lc_monetary": "'POSIX'", "lc_numeric": "'POSIX'",
    "lc_time": "'POSIX'", "lc_messages": "'POSIX'", "array_nulls": "off",
    "transform_null_equals": "on", "gin_fuzzy_search_limit": "1", "quote_all_identifiers": "on",
    "default_transaction_read_only": "on", "default_transaction_isolation": "'serializable'",
    "default_transaction_deferrable": "on", "enable_seqscan": "off", "row_security": "on",
    "search_path": "hostile, pg_catalog, public",
}  # fmt: skip
SHADOWS = """
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.abbrev(inet) RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
CREATE FUNCTION hostile.btrim(text) RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
CREATE FUNCTION hostile.octet_length(text) RETURNS int LANGUAGE sql AS $$ SELECT 1000000000 $$;
CREATE FUNCTION hostile.left(text, int) RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
CREATE FUNCTION hostile.to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS $$ SELECT '0'::jsonb $$
"""
VALUES = {
    "a_interval": "interval '1 mon -2 days 3 hours'", "a_date": "date '2026-02-01'",
    "a_time": "timestamp '2026-02-01 12:00'", "a_zoned": "timestamptz '2026-02-01 12:00+00'",
    "a_bytes": "decode('dead', 'hex')", "a_float": "0.1::float8 + 0.2::float8",
    "a_money": "1234.5::numeric::money", "a_net": "inet '10.0.0.1'", "a_text": "'größe'::text",
    "a_array": "ARRAY['a', NULL]", "a_dates": "ARRAY[date '2026-02-01']",
    "a_json": """'{"b": [1,  2]}'::json""", "a_range": "tstzrange('2026-02-01 12:00+00', NULL)",
}  # fmt: skip


@pytest.fixture
def hostile_role(backend: Backend) -> Iterator[str]:
    """URL of a role whose sessions begin with unusual settings."""
    grants = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
    grants += "GRANT USAGE ON SCHEMA hostile TO {role};"
    backend.run(SHADOWS)
    columns = ", ".join(f"{value} AS {name}" for name, value in VALUES.items())
    backend.run(f"CREATE TABLE v AS SELECT 1 AS id, timestamptz '{NOON}' AS at, {columns}")
    backend.run(
        "CREATE VIEW shown AS SELECT *, to_char(a_float, '9D99') AS b_number, "
        "to_char(a_date, 'TMMonth') AS b_month, a_zoned::text AS b_zoned FROM v"
    )
    grants += "GRANT SELECT ON shown TO {role};"
    grants += "".join(f"ALTER ROLE {{role}} SET {name} = {v};" for name, v in HOSTILE.items())
    with reader_of(backend, grants) as url:
        yield url


@pytest.mark.parametrize("table", ["v", "shown"])
def test_no_setting_of_a_role_changes_the_exported_bytes(
    backend: Backend, hostile_role: str, tmp_path: Path, table: str
) -> None:
    exported = all_columns(source={"table": table, "timezone": "UTC"})
    usual, hostile = (
        export(url, exported, DAY, LocalStore(tmp_path / name))
        for name, url in (("usual", backend.url), ("hostile", hostile_role))
    )
    (row,) = rows(LocalStore(tmp_path / "hostile"), hostile)
    assert (row["a_net"], row["a_money"], row["a_json"]) == ("10.0.0.1", "1234.50", {"b": [1, 2]})
    assert sha256_of(usual) == sha256_of(hostile)
    assert (usual.source, usual.columns) == (hostile.source, hostile.columns)


def test_the_settings_of_a_session_are_those_that_the_export_states(hostile_role: str) -> None:
    connection = PostgresConnection(hostile_role, "X", Limits(10, 10))
    try:
        found = {
            name: connection.rows(f"SELECT current_setting('{name}') AS value")[0]["value"]
            for name in HOSTILE
        }
    finally:
        connection.close()
    assert found == {
        "TimeZone": "UTC", "timezone_abbreviations": "Default", "DateStyle": "ISO, YMD",
        "IntervalStyle": "iso_8601", "bytea_output": "hex", "extra_float_digits": "1",
        "xmlbinary": "base64", "xmloption": "content", "client_encoding": "UTF8",
        "lc_numeric": "C", "lc_time": "C", "array_nulls": "on", "transform_null_equals": "off",
        "gin_fuzzy_search_limit": "0", "quote_all_identifiers": "off", "row_security": "off",
        "search_path": "hostile, public",
        # Of the transaction instead, or without an effect on values.
        "default_transaction_read_only": "on", "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on", "enable_seqscan": "off", "lc_messages": "POSIX",
        # Money is exported as a number.
        "lc_monetary": "POSIX",
    }  # fmt: skip


# Connections and messages


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@ss@h/db",
        "postgresql://u:p@h?dbname=x@host/db",
        "postgresql://u:p/ss@h/db?application_name=x",
        "postgresql://u:p@ss?word@h/db",
    ],
)
def test_an_at_sign_in_a_password_must_be_encoded(store: LocalStore, url: str) -> None:
    with pytest.raises(ConfigurationError, match="malformed"):
        export(url, dataset(), DAY, store)


def test_an_at_sign_in_another_parameter_is_an_ordinary_character(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 1)
    url = f"{backend.url}&application_name=ops@example.org"
    assert export(url, dataset(), DAY, store).record_count == 1


@contextmanager
def tls_server() -> Iterator[int]:
    """A port on which a server says that it speaks TLS, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(8)
                client.sendall(b"S")
                client.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def test_a_missing_root_certificate_is_named_as_the_cause(store: LocalStore) -> None:
    with tls_server() as port:
        url = f"postgresql://u@127.0.0.1:{port}/db?sslmode=verify-full&sslrootcert=/no/root.crt"
        with pytest.raises(SourceUnavailableError) as caught:
            export(url, dataset(), DAY, store)
    assert 'root certificate file "/no/root.crt" does not exist' in caught.value.message
    assert "sslrootcert=" in caught.value.hint
    assert not caught.value.retryable


def test_a_materialized_view_that_was_never_filled_is_named(
    backend: Backend, store: LocalStore, doctor: Doctor
) -> None:
    backend.run("ALTER TABLE logs RENAME TO base")
    backend.run("CREATE MATERIALIZED VIEW logs AS SELECT * FROM base WITH NO DATA")
    for source in ({}, {"table": None, "query": "SELECT * FROM logs"}):
        with pytest.raises(ExporterError) as caught:
            export(backend.url, dataset(source=source), DAY, store)
        assert 'materialized view "logs" has not been populated' in caught.value.message
        assert "REFRESH MATERIALIZED VIEW" in caught.value.hint
    doctor.run("--dataset", "logs")
    assert "REFRESH MATERIALIZED VIEW" in doctor.found("FAIL", "table filled")["hint"]


@pytest.mark.parametrize("expression", ["1 / (id - 2)", "('x' || id)::int", "id || NULL::point"])
def test_advice_is_never_to_repeat_what_cannot_succeed(
    backend: Backend, store: LocalStore, expression: str
) -> None:
    backend.add_logs(DAY, 3)
    query = f"SELECT *, {expression} AS odd FROM logs"
    exported = dataset(source={"table": None, "query": query}, extra_columns="keep")
    with pytest.raises(ExporterError) as caught:
        export(backend.url, exported, DAY, store)
    assert not caught.value.retryable
    assert "again" not in str(caught.value)


@pytest.mark.parametrize("given", ["service", "environment"])
def test_the_server_that_answers_is_named_even_if_the_url_does_not_name_it(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    parts = conninfo_to_dict(postgres_url)
    user, host, port = (
        str(parts.get(name) or default)
        for name, default in (("user", "postgres"), ("host", ""), ("port", "5432"))
    )
    url = f"postgresql://{user}@/postgres"
    if given == "service":
        (tmp_path / "services").write_text(
            f"[mine]\nhost={host}\nport={port}\ndbname=postgres\nuser={user}\n"
        )
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        url = "postgresql://?service=mine"
    else:
        monkeypatch.setenv("PGHOST", host)
        monkeypatch.setenv("PGPORT", port)
    with open_inspection(url, "X") as inspection:
        assert f"at {host}:{port}, database postgres" in inspection.described()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@/db", "at /nowhere:5555, database db, user u"),
        ("postgresql://?service=mine", "of the service mine"),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_as_libpq_looks_for_it(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    (tmp_path / "services").write_text("[mine]\nhost=/nowhere\ndbname=db\nuser=u\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGPORT", "5555")
    with pytest.raises(SourceUnavailableError, match="Cannot connect") as caught:
        export(url, dataset(), DAY, store)
    assert said in caught.value.message


def test_tables_of_the_server_itself_are_not_offered(postgres_url: str) -> None:
    # Encoded, and so a copy of template0: the databases of other tests have no information_schema.
    with fresh_database(postgres_url, encoding="UTF8") as whole:
        assert whole.run("SELECT 1 FROM pg_namespace WHERE nspname = 'information_schema'")
        whole.run("CREATE TABLE mine (id int)")
        with open_inspection(whole.url, "X") as inspection:
            assert [relation.name for relation in inspection.relations()] == ["mine"]
