"""Assets that take a published dataset as their input.

No `from __future__ import annotations` here: Dagster reads the annotations as classes.
"""

from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner, failure

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"


@pytest.fixture
def seen() -> list[Any]:
    """What the downstream asset of `logs` read."""
    return []


@pytest.fixture
def logs(settings: dict[str, str], backend: Backend, seen: list[Any]) -> Runner:
    """Three days of logs (10, 20, 30 rows), and an asset over them."""
    for number, day in enumerate((ONE, TWO, THREE)):
        backend.add_logs(day, 10 * (number + 1), first_id=1000 * number)

    @dg.asset(partitions_def=daily_partitions(), backfill_policy=dg.BackfillPolicy.single_run())
    def log_ids(context: dg.AssetExecutionContext, logs: pa.RecordBatchReader) -> None:
        table = logs.read_all()
        seen.append((context.partition_keys, table.schema.names, table["id"].to_pylist()))

    return Runner([dataset()], [log_ids])


def ids(*days: str) -> list[int]:
    expected = {ONE: range(10), TWO: range(1000, 1020), THREE: range(2000, 2030)}
    return [number for day in days for number in expected[day]]


def test_a_day_is_read_in_the_run_that_publishes_it(logs: Runner, seen: list[Any]) -> None:
    assert logs.run("logs*", ONE).success
    [(days, columns, read)] = seen
    assert (list(days), read) == ([ONE], ids(ONE))
    assert columns == [
        "id", "timestamp", "level", "message", "source", "device", "ip", "attributes"
    ]  # fmt: skip


def test_a_published_day_is_read_alone(logs: Runner, seen: list[Any]) -> None:
    logs.run("logs", ONE, THREE)
    assert logs.run("log_ids", TWO).success
    assert seen[0][2] == ids(TWO)


def test_a_range_of_published_days_is_read_in_order(logs: Runner, seen: list[Any]) -> None:
    logs.run("logs", ONE, THREE)
    assert logs.run("log_ids", ONE, THREE).success
    assert seen[0][2] == ids(ONE, TWO, THREE)


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "last of a range"])
def test_a_day_that_is_not_published_is_named_with_the_command_that_exports_it(
    logs: Runner, last: str
) -> None:
    if last:
        logs.run("logs", ONE)
    said = failure(logs.run("log_ids", ONE, last))
    missing = last or ONE
    assert f"logs {missing} is not published in" in said
    assert f"exporter export logs {missing}" in said


def test_a_held_day_does_not_run_its_downstream(
    logs: Runner, backend: Backend, seen: list[Any]
) -> None:
    backend.run("UPDATE logs SET level = 'odd'")
    backend.add_logs(ONE, 100, first_id=5000, level="odd")
    assert not logs.run("logs*", ONE).success
    assert not seen


def test_in_a_run_over_a_range_the_downstream_is_skipped_and_the_log_says_so(
    logs: Runner, seen: list[Any]
) -> None:
    result = logs.run("logs*", ONE, TWO)
    assert result.success
    [skipped] = [e.step_key for e in result.all_events if e.is_step_skipped]
    assert (skipped, seen) == ("log_ids", [])
    said = [event.user_message for event in logs.instance.all_logs(result.run_id)]
    assert [m for m in said if f"--select log_ids --partition-range {ONE}...{TWO}" in m]


def test_a_run_of_exports_alone_mentions_no_skipping(logs: Runner) -> None:
    result = logs.run("logs", ONE, TWO)
    said = [event.user_message for event in logs.instance.all_logs(result.run_id)]
    assert not [message for message in said if "skips" in message]
