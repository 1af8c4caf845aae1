"""A published day outlives its source: a source that lost the day's rows does not empty it."""

from __future__ import annotations

import pytest

from exporter_pipelines import api
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.errors import DayHeldError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner, failure

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"
CHECK = "no_lost_rows"


@pytest.fixture
def published(settings: dict[str, str], backend: Backend) -> Runner:
    """Three published days of 10 logs each, and a source that has purged the first two."""
    for number, day in enumerate((ONE, TWO, THREE)):
        backend.add_logs(day, 10, first_id=1000 * number)
    runner = Runner([dataset()])
    assert runner.run("logs", ONE, THREE).success
    backend.run("DELETE FROM logs WHERE id < 2000")
    return runner


def rows(store: LocalStore, *days: str) -> list[int]:
    found = [Manifest.if_readable(store.read_manifest("logs", day)) for day in days]
    return [manifest.record_count for manifest in found if manifest]


def accept(*days: str) -> dict[str, object]:
    return {"run_config": {"ops": {"logs": {"config": {"accept_loss_days": list(days)}}}}}


def test_a_purged_day_is_held_and_its_export_stays(published: Runner, store: LocalStore) -> None:
    result = published.run("logs", ONE)
    assert not result.success
    assert "The source had 10 rows of the day when it was published, and has 0 now." in failure(
        result
    )
    assert "accept_loss_days" in failure(result)
    assert rows(store, ONE) == [10]
    assert check_statuses(published.instance, "logs", CHECK)[ONE] == "FAILED"


def test_a_range_holds_the_purged_days_and_publishes_the_others(
    published: Runner, store: LocalStore, backend: Backend
) -> None:
    backend.add_logs(THREE, 2, first_id=5000)
    result = published.run("logs", ONE, THREE)
    assert not result.success
    assert rows(store, ONE, TWO, THREE) == [10, 10, 12]


@pytest.mark.parametrize("last", ["", TWO])
def test_a_loss_is_accepted_for_the_days_that_are_named(
    published: Runner, store: LocalStore, last: str
) -> None:
    result = published.run("logs", ONE, last, **accept(ONE))
    assert result.success == (not last)  # the second day is not named
    assert rows(store, ONE, TWO) == [0, 10]
    # An empty day has nothing to lose.
    assert published.run("logs", ONE).success


def test_a_loss_is_accepted_by_dates_only(published: Runner, store: LocalStore) -> None:
    said = failure(published.run("logs", ONE, **accept("yesterday")))
    assert "'yesterday'" in said
    assert "YYYY-MM-DD" in said
    assert rows(store, ONE) == [10]


def test_python_holds_a_purged_day_as_well(published: Runner, store: LocalStore) -> None:
    with pytest.raises(DayHeldError, match="The source had 10 rows of the day"):
        api.export_day("logs", ONE)
    assert rows(store, ONE) == [10]
    assert api.export_day("logs", ONE, accept_loss=True).record_count == 0


def test_a_damaged_manifest_is_no_proof_that_there_was_nothing(
    published: Runner, store: LocalStore
) -> None:
    (store.day_folder("logs", ONE) / MANIFEST_NAME).write_bytes(b"{")
    assert "missing or damaged" in failure(published.run("logs", ONE))
    assert published.run("logs", ONE, **accept(ONE)).success


def test_a_filter_that_leaves_nothing_is_no_loss(published: Runner, store: LocalStore) -> None:
    none = {"name": "none", "column": "level", "op": "eq", "value": "CRITICAL"}
    filtered = Runner([dataset(filters=[none])])
    assert filtered.run("logs", THREE).success
    assert rows(store, THREE) == [0]


def test_a_table_that_lost_all_its_rows_costs_no_day(
    published: Runner, store: LocalStore, backend: Backend
) -> None:
    backend.run("TRUNCATE logs")
    assert not published.run("logs", ONE, THREE).success
    assert rows(store, ONE, TWO, THREE) == [10, 10, 10]
