"""Each PostgreSQL value arrives exactly, or its row is rejected with a reason, or it is counted."""

# ruff: noqa: UP045 - Pandera evaluates annotations, and pa.string is no class

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pandera.pandas as pandera
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.datasets import dataset, export, parse, rejected, rows
from exporter_pipelines_tests.support.query_plans import rows_query

DAY = "2026-11-01"
NOON = "2026-11-01T12:00:00+00"


class ValueRow(pandera.DataFrameModel):
    """One column of each exported type, and no rules."""

    id: pa.int64 = pandera.Field(metadata={"identifier": True})
    at: Annotated[pa.timestamp, "us", "UTC"]
    text: Optional[pa.string] = pandera.Field(nullable=True)
    whole: Optional[pa.int64] = pandera.Field(nullable=True)
    number: Optional[pa.float64] = pandera.Field(nullable=True)
    flag: Optional[pa.bool_] = pandera.Field(nullable=True)
    moment: Optional[Annotated[pa.timestamp, "us", "UTC"]] = pandera.Field(nullable=True)
    doc: Optional[pa.string] = pandera.Field(nullable=True, metadata={"json": True})


def values_dataset(**changes: Any) -> Dataset:
    source = {"table": "v", "key": "id", "time_column": "at", **changes.pop("source", {})}
    model = f"{__name__}.ValueRow"
    return dataset(name="logs", schema=model, source=source, transforms=[], **changes)


@dataclass(frozen=True)
class Delivered:
    """What became of the values of one column.

    Attributes:
        values: Exported, in the order of the literals.
        reasons: (rule, value) of the rejected ones.
        changed: Rule -> values changed, without zeros.
        quarantined: The rejected rows.
    """

    values: list[Any]
    reasons: list[tuple[str, str | None]]
    changed: dict[str, int]
    quarantined: list[dict[str, Any]]


def deliver(
    db: Backend, store: LocalStore, column: str, pg_type: str, *literals: str, **changes: Any
) -> Delivered:
    """Export a table that has, beside key and time, one column with these SQL literals."""
    db.run(f"CREATE TABLE v (id int PRIMARY KEY, at timestamptz, {column} {pg_type})")
    for number, literal in enumerate(literals):
        db.run(f"INSERT INTO v VALUES ({number}, '{NOON}', {literal})")
    manifest = export(db.url, values_dataset(**changes), DAY, store)
    quarantined = rejected(store, manifest)
    metrics = manifest.data_quality_metrics
    return Delivered(
        [row[column] for row in rows(store, manifest)],
        [(r["rule"], r["value"]) for row in quarantined for r in row["rejections"]],
        {k.removeprefix("changed."): int(v) for k, v in metrics.items() if "changed." in k and v},
        quarantined,
    )


# Text


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("text", "''", ""),
        ("text", "NULL", None),
        ("text", "'null'", "null"),
        ("text", "E'a\\nb\\r\\nc\\td'", "a\nb\r\nc\td"),
        ("text", "'  \"quoted\" \\ back  '", '  "quoted" \\ back  '),
        ("text", "U&'\\2028\\2029\\0085\\FEFF'", "\u2028\u2029\x85\ufeff"),
        ("varchar(5)", "'ab '", "ab "),
        ("char(5)", "'ab'", "ab"),
        ("name", "'x'", "x"),
        ("inet", "'10.1.2.3'", "10.1.2.3"),
        ("inet", "'10.1.2.3/32'", "10.1.2.3"),
        ("inet", "'10.1.2.3/16'", "10.1.2.3/16"),
        ("inet", "'2001:0DB8::0001'", "2001:db8::1"),
        ("inet", "'2001:db8::1/64'", "2001:db8::1/64"),
        ("inet", "'::ffff:10.0.0.1'", "::ffff:10.0.0.1"),
        ("cidr", "'10.1.0.0/16'", "10.1.0.0/16"),
        ("cidr", "'2001:db8::/32'", "2001:db8::/32"),
        ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("numeric", "1234567890123456789012345678901234567890.10",
         "1234567890123456789012345678901234567890.10"),
        ("numeric", "'NaN'", "NaN"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("float8", "0.1", "0.1"),
        ("float8", "'-infinity'", "-Infinity"),
        ("timestamptz", "'2026-01-01 12:00+02'", "2026-01-01 10:00:00+00"),
        ("timestamp", "'infinity'", "infinity"),
        ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
        ("time", "'24:00'", "24:00:00"),
        ("interval", "'1 mon -2 days 3 hours'", "P1M-2DT3H"),
        ("bytea", "'\\xDEAD'", "\\xdead"),
        ("boolean", "true", "true"),
        ("macaddr", "'08-00-2b-01-02-03'", "08:00:2b:01:02:03"),
        ("int4range", "'[1,5)'", "[1,5)"),
        ("point", "'(1,2)'", "(1,2)"),
        ("text[]", "ARRAY['a','b c',NULL]", '{a,"b c",NULL}'),
        ("jsonb", "'{\"a\": 1}'", '{"a": 1}'),
    ],
)  # fmt: skip
def test_text_column_takes(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: str | None
) -> None:
    delivered = deliver(empty_db, store, "text", pg_type, literal)
    assert (delivered.values, delivered.reasons) == ([expected], [])


def test_enum_arrives_as_its_label(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run("CREATE TYPE mood AS ENUM ('sad', 'Öde')")
    assert deliver(empty_db, store, "text", "mood", "'Öde'", "NULL").values == ["Öde", None]


def test_domain_arrives_as_its_base_type(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run("CREATE DOMAIN percent AS smallint CHECK (VALUE BETWEEN 0 AND 100)")
    assert deliver(empty_db, store, "whole", "percent", "42").values == [42]


def test_every_control_character_arrives(empty_db: Backend, store: LocalStore) -> None:
    text = "".join(map(chr, [*range(1, 32), *range(127, 160)]))
    literal = "U&'" + "".join(f"\\{ord(c):04x}" for c in text) + "'"
    assert deliver(empty_db, store, "text", "text", literal).values == [text]


def test_every_unicode_plane_arrives(empty_db: Backend, store: LocalStore) -> None:
    text = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0x41, 0xFFFD))
    literal = "U&'" + "".join(f"\\+{ord(c):06x}" for c in text) + "'"
    assert deliver(empty_db, store, "text", "text", literal).values == [text]


def set_oddly(backend: Backend) -> None:
    """Change what new sessions of the database begin with."""
    (name,) = backend.run("SELECT current_database()")[0]
    for setting in (
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "bytea_output = 'escape'",
        "extra_float_digits = -15",
        "client_encoding = 'LATIN1'",
        "standard_conforming_strings = off",
    ):
        backend.run(f"ALTER DATABASE {name} SET {setting}")


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("timestamptz", "'2026-02-01 12:00+00'", "2026-02-01 12:00:00+00"),
        ("timestamp", "'2026-02-01 12:00'", "2026-02-01 12:00:00"),
        ("date", "'2026-02-01'", "2026-02-01"),
        ("interval", "'1 mon -2 days 3 hours'", "P1M-2DT3H"),
        ("bytea", "decode('dead', 'hex')", "\\xdead"),
        ("float8", "0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("text", "U&'\\4E2D'", "中"),
    ],
)
def test_text_does_not_depend_on_settings_of_the_database(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: str
) -> None:
    empty_db.run(f"CREATE TABLE given AS SELECT {literal}::{pg_type} AS value")
    set_oddly(empty_db)
    empty_db.run("CREATE TABLE v AS SELECT 1 AS id, now() AS at, value AS text FROM given")
    empty_db.run("UPDATE v SET at = '2026-11-01T12:00:00Z'")
    manifest = export(empty_db.url, values_dataset(), DAY, store)
    assert [row["text"] for row in rows(store, manifest)] == [expected]


def test_a_rejected_value_is_shown_alike_under_any_settings(
    empty_db: Backend, store: LocalStore
) -> None:
    set_oddly(empty_db)
    delivered = deliver(empty_db, store, "moment", "timestamptz", "'10000-02-01 00:00Z'")
    assert delivered.reasons == [("timestamp_out_of_range", "10000-02-01 00:00:00+00")]


# Integers and booleans


@pytest.mark.parametrize(
    ("pg_type", "literals", "expected"),
    [
        ("smallint", ["-32768", "NULL", "32767"], [-32768, None, 32767]),
        ("integer", ["-2147483648", "2147483647"], [-(2**31), 2**31 - 1]),
        ("bigint", [f"'{-(2**63)}'", f"{2**53 + 1}", f"{2**63 - 1}"],
         [-(2**63), 2**53 + 1, 2**63 - 1]),
    ],
)  # fmt: skip
def test_integers_stay_exact(
    empty_db: Backend, store: LocalStore, pg_type: str, literals: list[str], expected: list[Any]
) -> None:
    delivered = deliver(empty_db, store, "whole", pg_type, *literals)
    assert (delivered.values, delivered.changed) == (expected, {})


def test_booleans_arrive_as_booleans(empty_db: Backend, store: LocalStore) -> None:
    delivered = deliver(empty_db, store, "flag", "boolean", "true", "false", "NULL")
    assert delivered.values == [True, False, None]


# Floats


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("float8", "0.1", 0.1),
        ("float8", "'5e-324'", 5e-324),
        ("float8", "'1.7976931348623157e308'", 1.7976931348623157e308),
        ("float8", "'-0'", -0.0),
        ("float4", "0.1", 0.10000000149011612),
        ("numeric", "0.10", 0.1),
        ("numeric", "0", 0.0),
        ("numeric", "-1e300", -1e300),
        ("integer", "7", 7.0),
        ("bigint", "9007199254740992", 9007199254740992.0),
    ],
)
def test_float_column_takes_exactly(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: float
) -> None:
    delivered = deliver(empty_db, store, "number", pg_type, literal)
    (value,) = delivered.values
    assert (value, math.copysign(1, value)) == (expected, math.copysign(1, expected))
    assert delivered.changed == {}


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("numeric", "1234567890123456789012345678901234567890", 1.2345678901234568e39),
        ("numeric", "0.1000000000000000000000001", 0.1),
        ("bigint", "9007199254740993", 9007199254740992.0),
        ("bigint", "9223372036854775807", 9223372036854775807.0),
    ],
)
def test_a_number_with_more_digits_than_a_float_is_counted_as_rounded(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: float
) -> None:
    delivered = deliver(empty_db, store, "number", pg_type, literal, "1", "NULL")
    assert delivered.values == [expected, 1.0, None]
    assert delivered.changed == {"numeric_rounded": 1}


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ("1e400", "1" + "0" * 99),
        ("-1e400", "-1" + "0" * 98),
        ("1e-400", "0." + "0" * 98),
        ("-1e-400", "-0." + "0" * 97),
    ],
)
def test_numeric_beyond_a_float_is_rejected(
    empty_db: Backend, store: LocalStore, literal: str, shown: str
) -> None:
    delivered = deliver(empty_db, store, "number", "numeric", literal, "1")
    assert delivered.values == [1.0]
    assert delivered.reasons == [("number_out_of_range", shown)]


@pytest.mark.parametrize("pg_type", ["float8", "float4", "numeric"])
def test_nonfinite_number_without_a_rule_is_null_and_counted(
    empty_db: Backend, store: LocalStore, pg_type: str
) -> None:
    literals = ("'NaN'", "'Infinity'", "'-Infinity'", "1", "NULL")
    delivered = deliver(empty_db, store, "number", pg_type, *literals)
    assert delivered.values == [None, None, None, 1.0, None]
    assert delivered.changed == {"nonfinite_to_null": 3}


def _add_scores(backend: Backend) -> None:
    backend.run(
        "INSERT INTO anomalies (id, timestamp, type, score, details) SELECT n, %s, 'spike', s, '{}'"
        " FROM unnest(ARRAY['NaN', 'Infinity', '-Infinity', '0.5']::float8[])"
        " WITH ORDINALITY u(s, n)",
        [NOON],
    )


def test_nonfinite_score_is_rejected_when_strict(backend: Backend, store: LocalStore) -> None:
    _add_scores(backend)
    manifest = export(backend.url, dataset("anomalies"), DAY, store)
    assert [row["score"] for row in rows(store, manifest)] == [0.5]
    assert [row["rejections"] for row in rejected(store, manifest)] == [
        [{"rule": "score_in_range", "column": "score", "value": value}]
        for value in ("nan", "inf", "-inf")
    ]


def test_nonfinite_score_is_null_and_counted_when_basic(
    backend: Backend, store: LocalStore
) -> None:
    _add_scores(backend)
    manifest = export(backend.url, dataset("anomalies", validation="basic"), DAY, store)
    assert [row["score"] for row in rows(store, manifest)] == [None, None, None, 0.5]
    assert manifest.data_quality_metrics["changed.nonfinite_to_null"] == 3


# Timestamps beside the one that decides the day


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("timestamptz", "'2026-01-01 12:00:00.000001+02'", "2026-01-01T10:00:00.000001Z"),
        ("timestamptz", "'0001-01-01 00:00:00+00'", "0001-01-01T00:00:00.000000Z"),
        ("timestamptz", "'9999-12-31 23:59:59.999999+00'", "9999-12-31T23:59:59.999999Z"),
        ("timestamptz", "'1969-12-31 23:59:59.999999+00'", "1969-12-31T23:59:59.999999Z"),
        ("timestamptz", "NULL", None),
        ("timestamp", "'2026-07-01 12:00:00.5'", "2026-07-01T12:00:00.500000Z"),
        ("timestamp", "'0001-01-01'", "0001-01-01T00:00:00.000000Z"),
        ("timestamp", "'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999Z"),
        ("date", "'9999-12-31'", "9999-12-31T00:00:00.000000Z"),
        ("date", "'2026-02-28'", "2026-02-28T00:00:00.000000Z"),
    ],
)
def test_timestamp_arrives_with_microseconds(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: str | None
) -> None:
    delivered = deliver(empty_db, store, "moment", pg_type, literal)
    assert (delivered.values, delivered.reasons) == ([expected], [])


@pytest.mark.parametrize(
    ("pg_type", "literal", "shown"),
    [
        ("timestamptz", "'infinity'", "infinity"),
        ("timestamptz", "'-infinity'", "-infinity"),
        ("timestamptz", "'0044-03-15 12:00+00 BC'", "0044-03-15 12:00:00+00 BC"),
        ("timestamptz", "'10000-01-01 00:00+00'", "10000-01-01 00:00:00+00"),
        ("timestamptz", "'294276-12-31 23:59:59.999999+00'", "294276-12-31 23:59:59.999999+00"),
        ("timestamp", "'infinity'", "infinity"),
        ("timestamp", "'294276-12-31 23:59:59.999999'", "294276-12-31 23:59:59.999999"),
        ("timestamp", "'4713-01-01 BC'", "4713-01-01 00:00:00 BC"),
        ("date", "'-infinity'", "-infinity"),
        ("date", "'5874897-12-31'", "5874897-12-31"),
        ("date", "'4713-01-01 BC'", "4713-01-01 BC"),
    ],
)
def test_timestamp_that_iso8601_cannot_say_is_rejected(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, shown: str
) -> None:
    delivered = deliver(empty_db, store, "moment", pg_type, literal, "'2026-01-01'")
    assert delivered.values == ["2026-01-01T00:00:00.000000Z"]
    assert delivered.reasons == [("timestamp_out_of_range", shown)]


@pytest.mark.parametrize(
    ("zone", "literal", "expected"),
    [
        ("Asia/Tokyo", "'0001-01-01 08:59:59'", None),
        ("Asia/Tokyo", "'9999-12-31 12:00'", "9999-12-31T03:00:00.000000Z"),
        ("America/New_York", "'9999-12-31 20:00'", None),
    ],
)
def test_naive_timestamp_is_judged_as_the_instant_it_becomes(
    empty_db: Backend, store: LocalStore, zone: str, literal: str, expected: str | None
) -> None:
    delivered = deliver(empty_db, store, "moment", "timestamp", literal, source={"timezone": zone})
    assert delivered.values == ([expected] if expected else [])
    assert len(delivered.reasons) == (0 if expected else 1)


# JSON


@pytest.mark.parametrize(
    ("pg_type", "literal", "expected"),
    [
        ("jsonb", '\'{"b": [1, {"c": null}], "a": "\\u00e9\\n"}\'', {"b": [1, {"c": None}],
                                                                      "a": "é\n"}),
        ("jsonb", "'\"text\"'", "text"),
        ("jsonb", "'18446744073709551615'", 2**64 - 1),
        ("jsonb", "'true'", True),
        ("json", "E'{\\n  \"a\":\\r\\n  [1,\\t2]\\n}'", {"a": [1, 2]}),
        ("json", "'\"\\u0000\"'", "\x00"),
        ("text[]", "ARRAY['a', NULL, E'b\"\\n']", ["a", None, 'b"\n']),
        ("int[]", "ARRAY[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("text", "'{\"not\": parsed}'", '{"not": parsed}'),
        ("varchar(20)", "'plain'", "plain"),
    ],
)  # fmt: skip
def test_json_column_takes(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str, expected: Any
) -> None:
    delivered = deliver(empty_db, store, "doc", pg_type, literal)
    assert (delivered.values, delivered.changed) == ([expected], {})


@pytest.mark.parametrize("literal", ["'null'", "E' \\n null\\t'"])
@pytest.mark.parametrize("pg_type", ["jsonb", "json"])
def test_json_null_is_counted_and_sql_null_is_not(
    empty_db: Backend, store: LocalStore, pg_type: str, literal: str
) -> None:
    delivered = deliver(empty_db, store, "doc", pg_type, literal, "NULL")
    assert delivered.values == [None, None]
    assert delivered.changed == {"json_null_to_null": 1}


def test_repeated_json_keys_stay_as_they_were_written(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run("CREATE TABLE v (id int PRIMARY KEY, at timestamptz, doc json)")
    empty_db.run('INSERT INTO v VALUES (1, %s, E\'{"a": 1,\\n "a": 2.50}\')', [NOON])
    manifest = export(empty_db.url, values_dataset(compression="none"), DAY, store)
    line = (store.day_folder("logs", DAY) / manifest.files[0].path).read_bytes()
    assert line.endswith(b'"doc":{"a": 1,  "a": 2.50}}\n')


def test_details_that_are_text_are_exported_as_text(backend: Backend, store: LocalStore) -> None:
    backend.run("ALTER TABLE anomalies ALTER details TYPE text")
    backend.run(
        "INSERT INTO anomalies (id, timestamp, type, score, details) "
        "VALUES (1, %s, 'spike', 1, E'seen \"twice\"\\n}')",
        [NOON],
    )
    manifest = export(backend.url, dataset("anomalies"), DAY, store)
    assert rows(store, manifest)[0]["details"] == 'seen "twice"\n}'
    assert {c.name: c.type for c in manifest.columns}["details"] == "string"


# Values that are too large


@pytest.mark.parametrize(
    ("column", "pg_type", "literal"),
    [("text", "text", "repeat('é', 600)"), ("doc", "jsonb", "to_jsonb(repeat('é', 600))")],
)
def test_value_above_the_limit_is_rejected_and_cut_off(
    empty_db: Backend, store: LocalStore, column: str, pg_type: str, literal: str
) -> None:
    fits = "repeat('x', 1000)" if pg_type == "text" else "to_jsonb(repeat('x', 998))"
    delivered = deliver(empty_db, store, column, pg_type, literal, fits, max_value_bytes=1000)
    assert len(delivered.values) == 1
    ((rule, shown),) = delivered.reasons
    assert rule == "value_too_large"
    assert shown is not None
    assert shown.strip('"') == "é" * 600
    assert delivered.quarantined[0][column] is None


def test_only_the_beginning_of_a_large_value_is_kept(empty_db: Backend, store: LocalStore) -> None:
    literal = "repeat('0123456789', 1000)"
    delivered = deliver(empty_db, store, "text", "text", literal, max_value_bytes=5000)
    assert delivered.reasons == [("value_too_large", "0123456789" * 100)]


def test_a_value_above_the_default_limit_is_rejected(empty_db: Backend, store: LocalStore) -> None:
    limit = 16 * 1024 * 1024
    literals = (f"repeat('x', {limit})", f"repeat('x', {limit + 1})")
    delivered = deliver(empty_db, store, "text", "text", *literals)
    assert [len(value) for value in delivered.values] == [limit]
    assert [rule for rule, _ in delivered.reasons] == ["value_too_large"]


_LARGE = f"repeat('x', {16 * 1024 * 1024 + 1})"
_FAMILIES = {
    "table": "CREATE TABLE v (id bigint, at timestamptz, text text)",
    "column stored in the row": "CREATE TABLE v (id bigint, at timestamptz, text text); "
    "ALTER TABLE v ALTER text SET STORAGE MAIN",
    "partition": "CREATE TABLE v (id bigint, at timestamptz, text text) PARTITION BY RANGE (at); "
    f"CREATE TABLE older PARTITION OF v FOR VALUES FROM (MINVALUE) TO ('{DAY}'); "
    f"CREATE TABLE newer PARTITION OF v FOR VALUES FROM ('{DAY}') TO (MAXVALUE)",
    "child": "CREATE TABLE v (id bigint, at timestamptz, text text); "
    "CREATE TABLE child () INHERITS (v); CREATE RULE r AS ON INSERT TO v DO INSTEAD "
    "INSERT INTO child VALUES (NEW.id, NEW.at, NEW.text)",
    "view": "CREATE TABLE t (id bigint, at timestamptz, text text); "
    "CREATE VIEW v AS SELECT * FROM t",
    "view that computes": "CREATE TABLE t (id bigint, at timestamptz, text text); "
    f"CREATE VIEW v AS SELECT id, at, coalesce(text, {_LARGE}) AS text FROM t; "
    "CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO t VALUES (NEW.id, NEW.at, NULL)",
}


@pytest.mark.parametrize("family", _FAMILIES)
def test_a_large_value_is_rejected_wherever_it_is_stored(
    empty_db: Backend, store: LocalStore, family: str
) -> None:
    empty_db.run(_FAMILIES[family])
    empty_db.run(f"INSERT INTO v VALUES (1, '{DAY}', {_LARGE})")
    exported = values_dataset(max_rejected_pct=100)
    assert export(empty_db.url, exported, DAY, store).counts.rejected == 1


def test_a_large_value_is_rejected_where_it_is_not_stored_but_computed(
    empty_db: Backend, store: LocalStore
) -> None:
    if int(empty_db.run("SHOW server_version_num")[0][0]) < 180000:
        pytest.skip("the first virtual columns are those of PostgreSQL 18")
    empty_db.run(
        "CREATE TABLE v (id bigint, at timestamptz, text text GENERATED ALWAYS AS "
        f"({_LARGE}) VIRTUAL); INSERT INTO v (id, at) VALUES (1, '{DAY}')"
    )
    exported = values_dataset(max_rejected_pct=100)
    assert export(empty_db.url, exported, DAY, store).counts.rejected == 1


def test_values_are_not_measured_where_none_can_be_large(empty_db: Backend) -> None:
    declared = "(id bigint PRIMARY KEY, at timestamptz, text text)"
    empty_db.run(f"CREATE TABLE v {declared}; CREATE TABLE w {declared}")
    empty_db.run(f"INSERT INTO w VALUES (1, '{DAY}', {_LARGE})")
    measured = {
        table: "octet_length" in rows_query(empty_db.url, values_dataset(source={"table": table}))
        for table in ("v", "w")
    }
    assert measured == {"v": False, "w": True}
    small = values_dataset(max_value_bytes=1_000_000)
    assert "octet_length" in rows_query(empty_db.url, small)


def test_a_large_required_value_is_not_also_missing(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 2)
    backend.run("UPDATE logs SET message = repeat('x', 100) WHERE id = 1")
    manifest = export(backend.url, dataset(max_value_bytes=99), DAY, store)
    (row,) = rejected(store, manifest)
    assert [reason["rule"] for reason in row["rejections"]] == ["value_too_large"]


# Keys, names and tables


@pytest.mark.parametrize(
    ("pg_type", "literals", "expected"),
    [
        ("bigint", ["9007199254740993", "-1"], [-1, 9007199254740993]),
        ("uuid", ["'ffffffff-0000-4000-8000-000000000001'",
                  "'00000000-0000-4000-8000-000000000002'"],
         ["00000000-0000-4000-8000-000000000002", "ffffffff-0000-4000-8000-000000000001"]),
        ("text", ["'b'", "'B'", "'ä'", "'a'"], ["B", "a", "b", "ä"]),
        ("numeric(30)", ["100000000000000000000000000000", "9"],
         ["9", "100000000000000000000000000000"]),
    ],
)  # fmt: skip
def test_key_of_any_type_is_exported_and_orders_the_rows(
    empty_db: Backend, store: LocalStore, pg_type: str, literals: list[str], expected: list[Any]
) -> None:
    empty_db.run(f"CREATE TABLE v (id {pg_type} PRIMARY KEY, at timestamptz)")
    for literal in literals:
        empty_db.run(f"INSERT INTO v VALUES ({literal}, '{NOON}')")
    manifest = export(empty_db.url, values_dataset(), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == expected


def test_an_optional_column_that_the_table_lacks_is_null(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 1)
    backend.run("ALTER TABLE logs DROP COLUMN device, DROP COLUMN attributes")
    manifest = export(backend.url, dataset(), DAY, store)
    (row,) = rows(store, manifest)
    assert (row["device"], row["attributes"], row["ip"]) == (None, None, "10.0.0.1")
    assert manifest.data_quality_metrics["completeness_pct.device"] == 0


def test_columns_are_read_under_the_names_they_have(empty_db: Backend, store: LocalStore) -> None:
    empty_db.run(
        'CREATE TABLE "Log Entries" ("ID" int PRIMARY KEY, "When" timestamptz, "a b" text, '
        '"we{ird} %s ""q""" text, "Select" text)'
    )
    empty_db.run("INSERT INTO \"Log Entries\" VALUES (1, %s, 'INFO', 'hello', 'app')", [NOON])
    columns = {"id": "ID", "timestamp": "When", "level": "a b", "message": 'we{ird} %s "q"',
               "source": "Select"}  # fmt: skip
    mapped = dataset(source={"table": "Log Entries", "columns": columns})
    (row,) = rows(store, export(empty_db.url, mapped, DAY, store))
    assert list(row.values())[:5] == [1, "2026-11-01T12:00:00.000000Z", "INFO", "hello", "app"]


@pytest.mark.parametrize("table", ["app.events", "Mixed Case.Log", "app.seen", "app.kept"])
def test_tables_and_views_of_other_schemas_are_read(
    backend: Backend, store: LocalStore, table: str
) -> None:
    backend.run('CREATE SCHEMA app; CREATE SCHEMA "Mixed Case"')
    backend.run('CREATE TABLE app.events (LIKE logs); CREATE TABLE "Mixed Case"."Log" (LIKE logs)')
    backend.run("CREATE VIEW app.seen AS SELECT * FROM app.events")
    backend.add_logs(DAY, 3)
    backend.run('INSERT INTO app.events TABLE logs; INSERT INTO "Mixed Case"."Log" TABLE logs')
    backend.run("CREATE MATERIALIZED VIEW app.kept AS SELECT * FROM app.events")
    manifest = export(backend.url, dataset(source={"table": table}), DAY, store)
    assert (manifest.record_count, manifest.source.table) == (3, table)


def test_all_parts_of_a_partitioned_table_are_read(backend: Backend, store: LocalStore) -> None:
    backend.run("ALTER TABLE logs RENAME TO old")
    backend.run("CREATE TABLE logs (LIKE old) PARTITION BY RANGE (id)")
    backend.run("CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (5)")
    backend.run("CREATE TABLE logs_2 PARTITION OF logs DEFAULT")
    backend.add_logs(DAY, 9)
    assert export(backend.url, dataset(), DAY, store).record_count == 9


# Databases of other encodings, and of none


def test_text_of_a_database_of_another_encoding_arrives(
    postgres_url: str, store: LocalStore
) -> None:
    options = {"encoding": "LATIN1", "lc_collate": "C", "lc_ctype": "C"}
    with fresh_database(postgres_url, **options) as backend:
        delivered = deliver(backend, store, "text", "text", "'Größe ÿ'", "repeat('é', 99)",
                            max_value_bytes=50)  # fmt: skip
    assert delivered.values == ["Größe ÿ"]
    assert delivered.reasons == [("value_too_large", "é" * 99)]


@pytest.fixture
def ascii_db(postgres_url: str) -> Iterator[Backend]:
    """A database that takes any bytes for text."""
    options = {"encoding": "SQL_ASCII", "lc_collate": "C", "lc_ctype": "C"}
    with fresh_database(postgres_url, **options) as backend:
        yield backend


def test_undecodable_text_is_rejected_and_its_neighbours_are_exported(
    ascii_db: Backend, store: LocalStore
) -> None:
    literals = ("E'Gr\\303\\266\\303\\237e'", "E'caf\\351'", "'plain'", "NULL")
    delivered = deliver(ascii_db, store, "text", "text", *literals)
    assert delivered.values == ["Größe", "plain", None]
    assert delivered.reasons == [("undecodable_text", "caf\\xe9")]


def test_undecodable_json_is_rejected(ascii_db: Backend, store: LocalStore) -> None:
    delivered = deliver(ascii_db, store, "doc", "jsonb", "E'\"\\351\"'", "E'\"\\303\\251\"'")
    assert delivered.values == ["é"]
    assert delivered.reasons == [("undecodable_text", '"\\xe9"')]


def test_a_large_value_cut_within_a_character_keeps_its_reason(
    ascii_db: Backend, store: LocalStore
) -> None:
    literal = "'x' || repeat(E'\\303\\251', 1000)"
    delivered = deliver(ascii_db, store, "text", "text", literal, max_value_bytes=1000)
    ((rule, shown),) = delivered.reasons
    assert rule == "value_too_large"
    assert shown is not None
    assert shown.startswith("xéé")


# Anything


_TEXTS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=30
)
_MOMENTS = st.datetimes(timezones=st.just(dt.UTC))
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _TEXTS
    # Beyond 2^53 jsonb gives back the digits of an integer, which Python then reads exactly.
    | st.floats(-(2.0**53), 2.0**53),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | _TEXTS,
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "number": st.none() | st.floats(),
            "moment": st.none() | _MOMENTS,
            "doc": st.none() | _DOCUMENTS,
        }
    ),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module")
def any_values(postgres_url: str) -> Iterator[Backend]:
    """A database with a table for any row."""
    with fresh_database(postgres_url) as backend:
        backend.run(
            "CREATE TABLE v (id int PRIMARY KEY, at timestamptz, text text, whole bigint, "
            "number float8, moment timestamptz, doc jsonb)"
        )
        yield backend


@pytest.fixture(scope="module")
def any_store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("round-trip"))


@settings(max_examples=35)
@given(written=_ROWS)
def test_any_row_arrives_equal_or_counted(
    any_values: Backend, any_store: LocalStore, written: list[dict[str, Any]]
) -> None:
    _replace_rows(any_values, written)
    manifest = export(
        any_values.url, values_dataset(compression="none"), DAY, any_store, accept_loss=True
    )
    read = parse(any_store.day_folder("logs", DAY) / manifest.files[0].path)
    assert [_without_key(row) for row in read] == [_as_json(row) for row in written]
    numbers = [row["number"] for row in written if row["number"] is not None]
    nonfinite = len(numbers) - sum(map(math.isfinite, numbers))
    assert manifest.data_quality_metrics["changed.nonfinite_to_null"] == nonfinite
    assert manifest.counts.rejected == 0


def _replace_rows(backend: Backend, written: list[dict[str, Any]]) -> None:
    with psycopg.connect(backend.url) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE v")
        for number, row in enumerate(written):
            doc = None if row["doc"] is None else json.dumps(row["doc"])
            values = [row[name] for name in ("text", "whole", "number", "moment")]
            cursor.execute(
                "INSERT INTO v VALUES (%s, %s, %s, %s, %s, %s, %s)", [number, NOON, *values, doc]
            )


def _without_key(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("text", "whole", "number", "moment", "doc")}


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    number, moment = row["number"], row["moment"]
    return {
        **row,
        "number": number if number is not None and math.isfinite(number) else None,
        "moment": moment and f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z",
    }
