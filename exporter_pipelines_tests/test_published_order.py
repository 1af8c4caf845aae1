"""Rows of one time are in the order of what is published, however they arrive and whatever fits."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column, RowSchema
from exporter_pipelines.engine.published_order import PublishedOrder

SCHEMA = RowSchema(
    "",
    (
        Column("time", UTC_MICROSECONDS, False, True),
        Column("key", pa.string(), True, True),
        Column("number", pa.int64(), True, True),
        Column("share", pa.float64(), True, True),
        Column("flag", pa.bool_(), True, True),
    ),
    None,
)


def rows(count: int, times: int) -> list[dict[str, Any]]:
    """Rows ordered by time, with repeated and missing values."""
    chance = random.Random(3)
    made = [
        {
            "time": chance.randrange(times) * 60_000_000,
            "key": chance.choice([None, *"abcdefgh"]),
            "number": chance.choice([None, 1, 2, 3]),
            "share": chance.choice([None, 0.5, float("inf")]),
            "flag": chance.choice([None, True, False]),
        }
        for _ in range(count)
    ]
    return sorted(made, key=lambda row: row["time"])


def ordered(
    made: list[dict[str, Any]], size: int, key: str = "key", **options: Any
) -> list[tuple[Any, ...]]:
    order = PublishedOrder(SCHEMA, "time", key, **options)
    found: list[pa.RecordBatch] = []
    for start in range(0, len(made), size):
        batch = pa.RecordBatch.from_pylist(made[start : start + size], schema=SCHEMA.arrow)
        found += order.add(batch)
    found += order.finish()
    assert all(len(batch) for batch in found)
    table = pa.Table.from_batches(found, SCHEMA.arrow)
    return [tuple(row.values()) for row in table.to_pylist()]


def sort_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is None, value if value is not None else 0) for value in row)


@pytest.mark.parametrize("times", [1, 7, 400])
@pytest.mark.parametrize("size", [1, 10, 1000])
@pytest.mark.parametrize("most_bytes", [1, 4_000, 10_000_000])
def test_order(times: int, size: int, most_bytes: int) -> None:
    found = ordered(rows(300, times), size, most_bytes=most_bytes)
    assert found == sorted(found, key=sort_key)
    assert len(found) == 300


def test_several_blocks_of_several_runs_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter_pipelines.engine.published_order._BLOCK_ROWS", 16)
    found = ordered(rows(2000, 1), 100, most_bytes=6_000)
    assert found == sorted(found, key=sort_key)
    assert len(found) == 2000


@pytest.mark.parametrize("ascends", [True, False])
@pytest.mark.parametrize("size", [1, 10, 1000])
def test_integer_keys_that_ascend_already_and_others(size: int, ascends: bool) -> None:
    made = rows(300, 40)
    for number, row in enumerate(made):
        row["number"] = number if ascends else row["number"] or 5
    found = ordered(made, size, key="number")
    assert found == sorted(found, key=number_first)
    assert len(found) == 300


def number_first(row: tuple[Any, ...]) -> tuple[Any, ...]:
    time, key, number, *others = row
    return sort_key((time, number, key, *others))
