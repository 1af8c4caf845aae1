"""Exports from Python, without Dagster."""

from __future__ import annotations

import pytest

from exporter_pipelines import api
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    DayHeldError,
    DayNotPublishedError,
    UnknownNameError,
)
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.projects import Project

DAYS = ("2026-11-01", "2026-11-02", "2026-11-03")


@pytest.fixture(autouse=True)
def _settings(settings: dict[str, str]) -> None:
    """The environment of an export from `backend`."""


def test_the_datasets_are_found() -> None:
    assert Definitions().dataset_names() == ["anomalies", "ips", "logs"]


def test_days_are_exported_and_read_back(backend: Backend) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, number * 10, first_id=1000 * number)
        assert api.export_day("logs", day).record_count == number * 10
    ids = api.open_days("logs", DAYS[0], DAYS[-1]).read_all()["id"].to_pylist()
    assert ids == [*range(1000, 1010), *range(2000, 2020)]
    assert api.open_days("logs", DAYS[1]).read_all().num_rows == 10


def test_days_are_exported_over_one_connection_until_one_fails(backend: Backend) -> None:
    for number, day in enumerate(DAYS[:2]):
        backend.add_logs(day, 5, first_id=1000 * number)
    backend.add_logs(DAYS[2], 100, first_id=9000, level="odd")
    exported = api.export_days("logs", DAYS[0], DAYS[2])
    first = next(exported)
    # Published before its manifest came, and before the next day is read.
    assert api.open_days("logs", DAYS[0]).read_all().num_rows == 5
    backend.add_logs(DAYS[1], 1, first_id=5000)
    second = next(exported)
    assert [first.partition, second.partition] == list(DAYS[:2])
    assert second.record_count == 6
    with pytest.raises(DayHeldError):
        next(exported)
    assert api.open_days("logs", DAYS[0], DAYS[1]).read_all().num_rows == 11


def test_a_held_day_says_why_and_where(backend: Backend) -> None:
    backend.add_logs(DAYS[0], 100, level="odd")
    with pytest.raises(DayHeldError, match="100 of 100 rows rejected") as held:
        api.export_day("logs", DAYS[0])
    assert held.value.quarantine
    assert str(held.value.quarantine) in str(held.value)
    with pytest.raises(DayNotPublishedError):
        api.open_days("logs", DAYS[0])


def test_days_with_other_columns_are_not_joined(backend: Backend) -> None:
    api.export_day("logs", DAYS[0])
    backend.run("ALTER TABLE logs ALTER id TYPE text")
    api.export_day("logs", DAYS[1])
    reader = api.open_days("logs", DAYS[0], DAYS[1])
    with pytest.raises(ColumnMismatchError, match="2026-11-02 was exported with other columns"):
        reader.read_all()


def test_a_dataset_of_ones_own_making(backend: Backend) -> None:
    backend.add_logs(DAYS[0], 5)
    logs = dataset("logs", format="parquet")
    mine = Dataset(logs.config.model_copy(update={"name": "my_logs"}), logs.schema)
    exported = api.export_day(mine, DAYS[0])
    assert exported.files[0].path == "my_logs-2026-11-01.parquet"
    assert api.open_days("my_logs", DAYS[0]).read_all().num_rows == 5


def test_wrong_names_and_days_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"there are: anomalies, ips, logs"):
        api.export_day("log", DAYS[0])
    with pytest.raises(ConfigurationError, match=r"'1\.11\.2026' is not a day"):
        api.export_day("logs", "1.11.2026")
    with pytest.raises(ConfigurationError, match="before the first day"):
        api.open_days("logs", DAYS[1], DAYS[0])
    with pytest.raises(ConfigurationError, match="before the first day"):
        next(api.export_days("logs", DAYS[1], DAYS[0]))


def test_an_export_imports_nothing_that_it_does_not_need(
    backend: Backend, project: Project
) -> None:
    backend.add_logs(DAYS[0], 5)
    probe = (
        f"import sys; from exporter_pipelines import api; api.export_day('logs', {DAYS[0]!r}); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    shown = project.python(probe)
    assert shown.code == 0, shown.stderr
    imported = set(shown.stdout.split())
    assert "pandera" in imported
    assert imported.isdisjoint(
        {"dagster", "matplotlib", "jinja2", "apprise", "pgserver", "grpc", "sqlalchemy", "polars"}
    )
