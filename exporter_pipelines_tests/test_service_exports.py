"""Exports that the service starts, follows, cancels and repeats, in real runs of Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from exporter_pipelines.service.models import Export, ExportRequest
from exporter_pipelines_tests.support.backends import (
    ANOMALIES,
    IPS,
    LOGS,
    Backend,
    fresh_database,
)
from exporter_pipelines_tests.support.service import EXPORTER, Service, service

ONE, TWO, THREE, FOUR = (f"2026-11-{day:02}" for day in range(1, 5))


@pytest.fixture(scope="module")
def backend(postgres_url: str) -> Iterator[Backend]:
    """Three days of logs, the second of which is held; no other rows."""
    with fresh_database(postgres_url) as backend:
        backend.run(";".join((LOGS, ANOMALIES, IPS)))
        backend.add_logs(ONE, 20)
        backend.add_logs(TWO, 200, first_id=1_000, level="odd")
        backend.add_logs(THREE, 10, first_id=5_000)
        yield backend


@pytest.fixture(scope="module")
def running(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over that backend, which all tests of the module share."""
    folder = tmp_path_factory.mktemp("service")
    settings = {
        "EXPORTER_START_DATE": ONE,
        "EXPORTER_END_DATE": "2026-11-15",
        "EXPORTER_TIMEZONE": "UTC",
        "EXPORTER_SOURCE_URL": backend.url,
        "EXPORTER_OUTPUT_URL": str(folder / "exports"),
    }
    with service(folder / "home", settings) as found:
        yield found


def request(*datasets: str, first: str = ONE, last: str = THREE, **more: object) -> ExportRequest:
    return ExportRequest(
        datasets=list(datasets or ("logs",)),
        start_date=dt.date.fromisoformat(first),
        end_date=dt.date.fromisoformat(last),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def ended(running: Service) -> Export:
    """An export of two datasets that has ended, with a held day."""
    started = running.exports.start(request("logs", "ips"), EXPORTER)
    running.work_off()
    return running.exports.get(started.export.id)


def test_an_export_ends_with_the_result_of_each_day(ended: Export) -> None:
    assert ended.status == "held"
    assert ended.days["published"] == 5
    assert ended.days["held"] == 1
    assert ended.progress_pct == 100
    assert ended.rows_exported == 30
    assert (ended.user, ended.source) == ("emil", "rest")
    [held] = [result for result in ended.results if result.status == "held"]
    assert (held.dataset, str(held.day), held.docs_entry) == ("logs", TWO, "a-day-is-held")
    assert held.problem
    assert "200 of 200 rows rejected" in held.problem
    assert ended.errors == [f"logs {TWO}: {held.problem}"]
    assert ended.started_at
    assert ended.ended_at
    assert {run.status for run in ended.runs} == {"SUCCESS", "FAILURE"}
