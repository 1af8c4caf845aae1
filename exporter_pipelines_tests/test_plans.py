"""PostgreSQL reads a day through the index on the time column, however time is stored."""

from __future__ import annotations

import pyarrow as pa
import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.query_plans import lookup_plan, plans
from exporter_pipelines_tests.test_postgres_values import values_dataset

_ROWS, _DAYS = 50_000, 100
_DAY = "2026-02-10"

# type of the column, its value from an instant `t`, and what `source:` says besides.
_STORED = {
    "timestamptz": ("timestamptz", "t", {}),
    "timestamp": ("timestamp", "t AT TIME ZONE 'Europe/Berlin'", {"timezone": "Europe/Berlin"}),
    "behind a query": ("timestamptz", "t", {"table": None, "query": "SELECT * FROM logs -- all"}),
    "date": ("date", "t::date", {}),
    "text": ("text", "to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')", {}),
    "varchar": ("varchar(40)", "to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')", {}),
    "epoch_s int4": ("integer", "extract(epoch FROM t)::int4", "epoch_s"),
    "epoch_ms int8": ("bigint", "(extract(epoch FROM t) * 1000)::int8", "epoch_ms"),
    "epoch_s float8": ("double precision", "extract(epoch FROM t)::float8", "epoch_s"),
    "epoch_us numeric": ("numeric", "extract(epoch FROM t) * 1000000", "epoch_us"),
}


@pytest.fixture(params=_STORED)
def stored(request: pytest.FixtureRequest, empty_db: Backend) -> tuple[Backend, dict[str, object]]:
    """A table of a hundred days in one way to store time, with its index, and its `source:`."""
    declared, value, said = _STORED[request.param]
    empty_db.run(f"CREATE TABLE logs (id bigint PRIMARY KEY, timestamp {declared} NOT NULL, "
                 "level text, message text, source text)")  # fmt: skip
    empty_db.run(
        f"""INSERT INTO logs SELECT n, {value}, 'INFO', 'a message of ordinary length', 'app'
        FROM (SELECT n, '2026-01-01Z'::timestamptz + n * interval '{_DAYS} days' / {_ROWS} AS t
        FROM generate_series(0, {_ROWS} - 1) n) AS rows"""
    )
    empty_db.run("CREATE INDEX logs_timestamp ON logs (timestamp)")
    empty_db.run("ANALYZE logs")
    source = {"encodings": {"timestamp": said}} if isinstance(said, str) else said
    return empty_db, source


def test_a_day_is_read_through_the_index_on_time(
    stored: tuple[Backend, dict[str, object]],
) -> None:
    backend, source = stored
    for plan in plans(backend.url, dataset(source=source), _DAY):
        assert "logs_timestamp" in plan, plan
        assert "Index Cond" in plan, plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("integer", "n"),
        ("bigint", "n"),
        ("text", "n::text"),
        ("varchar(40)", "n::text"),
        ("char(12)", "n::text"),
        ("uuid", "lpad(n::text, 32, '0')::uuid"),
        ("inet", "'10.0.0.0'::inet + n"),
        ("numeric", "n"),
    ],
)
def test_keys_are_looked_up_through_the_index_on_the_key(
    empty_db: Backend, declared: str, value: str
) -> None:
    empty_db.run(f"CREATE TABLE v (id {declared} PRIMARY KEY, at timestamptz)")
    empty_db.run(f"INSERT INTO v SELECT {value}, now() FROM generate_series(0, {_ROWS} - 1) n")
    empty_db.run("ANALYZE v")
    first = empty_db.run(f"SELECT ({value})::text FROM generate_series(7, 9) n")
    texts = [text.removesuffix("/32") for (text,) in first]
    keys = pa.array([int(t) for t in texts] if declared in ("integer", "bigint") else texts)
    plan = lookup_plan(empty_db.url, values_dataset(), keys)
    assert "Index Cond" in plan, plan
    assert "Seq Scan" not in plan, plan
