"""The list of exports, and the numbers over them: from run records, without events."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from sqlalchemy import Engine, event

from exporter_pipelines.cli.export_lines import print_history
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.orchestration.dagster_internals.web_server import Workspace
from exporter_pipelines.orchestration.exports.run_summary import DatasetSummary, RunSummary
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_scan import Scan
from exporter_pipelines.service.export_status import StatusReader
from exporter_pipelines.service.history import History, HistoryQuery
from exporter_pipelines.service.models import ExportSummary
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import fresh_database

ONE, TWO = "2026-11-01", "2026-11-02"
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
CANCELED, STARTING = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.STARTING


class _Workspace:
    """As much of Dagster's workspace as a list needs."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance


class Past:
    """An instance with runs that were never executed."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path) -> None:
        self.instance = instance
        workspace = cast("Workspace", _Workspace(instance))
        context = ServiceContext(workspace, LocalStore(folder / "exports"))
        self.history = History(context, StatusReader(context))

    def add(
        self,
        dataset: str = "logs",
        status: dg.DagsterRunStatus = SUCCESS,
        *,
        summary: DatasetSummary | None = None,
        root: str | None = None,
        **tags: str,
    ) -> str:
        """Add a run of two days, with a summary if it has ended."""
        run_id = str(uuid.uuid4())
        known = {
            "dagster/asset_partition_range_start": ONE,
            "dagster/asset_partition_range_end": TWO,
            **{key.replace("__", "/"): value for key, value in tags.items()},
        }
        if root:
            known |= {"dagster/root_run_id": root, "dagster/parent_run_id": root}
        if summary:
            known |= RunSummary(run_id, ONE, TWO, {dataset: summary}).to_tag()
        self.instance.add_run(
            dg.DagsterRun(
                "__ASSET_JOB",
                run_id,
                asset_selection=frozenset({dg.AssetKey(dataset)}),
                status=status,
                tags=known,
                root_run_id=root,
                parent_run_id=root,
            )
        )
        return run_id

    def lines(self, **query: Any) -> list[ExportSummary]:
        """The first page."""
        return self.history.page(HistoryQuery(**query)).items


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Past]:
    for name, value in (("START_DATE", ONE), ("END_DATE", ""), ("TIMEZONE", "UTC")):
        monkeypatch.setenv(f"EXPORTER_{name}", value)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Past(instance, tmp_path)


@pytest.fixture
def past_in_postgresql(past: Past, postgres_url: str, tmp_path: Path) -> Iterator[Past]:
    """The same with a database server as Dagster's storage."""
    home = tmp_path / "other_home"
    home.mkdir()
    with fresh_database(postgres_url) as storage:
        url = storage.url.replace("postgresql:", "postgresql+psycopg2:")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
        with dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance:
            yield Past(instance, tmp_path)


PUBLISHED = DatasetSummary(days=2, published=2, rows=100, rows_read=110, rejected=10, bytes=500)
HELD = DatasetSummary(days=2, published=1, held=1, rows=50, rows_read=50, bytes=200)


@contextmanager
def counted() -> Iterator[Callable[[], list[str]]]:
    """The statements that are sent to databases in a block."""
    sent: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("PRAGMA"):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    try:
        yield lambda: sent
    finally:
        event.remove(Engine, "before_cursor_execute", remember)


def test_a_run_with_a_summary_is_a_line_without_events(past: Past) -> None:
    run_id = past.add(status=FAILURE, summary=HELD, exporter__user="olga", exporter__source="page")
    with counted() as sent:
        [found] = past.lines()
        assert not [statement for statement in sent() if "event_logs" in statement]
    assert (found.id, found.status, found.user, found.source) == (run_id, "held", "olga", "page")
    assert (found.rows_exported, found.size_bytes) == (50, 200)
    assert (found.days["published"], found.days["held"]) == (1, 1)
    assert (str(found.start_date), str(found.end_date)) == (ONE, TWO)
    assert found.links.dagster == f"/runs/{run_id}"


def test_an_export_to_another_output_says_where_it_went(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past.add(summary=PUBLISHED, exporter__output="/srv/demo")
    past.add(summary=PUBLISHED, exporter__output=str(tmp_path / "exports"))
    past.add(summary=PUBLISHED)  # by an earlier version
    lines = past.lines()
    assert [line.output for line in lines] == [None, None, "/srv/demo"]
    print_history(lines, as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == "  to another output: /srv/demo"


def test_the_runs_of_an_export_are_one_line(past: Past) -> None:
    tags = {"exporter__export": "one", "exporter__days": "4"}
    past.add("ips", summary=PUBLISHED, **tags)
    past.add("anomalies", summary=PUBLISHED)
    past.add("logs", status=FAILURE, summary=HELD, **tags)
    first, second = past.lines()
    assert (first.id, first.datasets, first.status) == ("one", ["ips", "logs"], "held")
    assert first.rows_exported == 150
    assert second.datasets == ["anomalies"]


def test_days_that_a_cancelled_run_did_not_reach_are_cancelled(past: Past) -> None:
    past.add(status=CANCELED, summary=DatasetSummary(days=2, published=1))
    past.add(status=FAILURE, summary=DatasetSummary(days=2, published=1))
    failed, cancelled = past.lines()
    assert (cancelled.status, cancelled.days["cancelled"]) == ("cancelled", 1)
    assert (failed.status, failed.days["failed"]) == ("failed", 1)


def test_a_run_that_was_killed_is_read_from_its_events_once(past: Past) -> None:
    past.add(status=FAILURE)
    [found] = past.lines()
    assert (found.status, found.days["failed"]) == ("failed", 2)
    with counted() as sent:
        assert past.lines() == [found]
        assert not [statement for statement in sent() if "event_logs" in statement]


def test_a_run_that_has_not_begun_is_pending(past: Past) -> None:
    past.add(status=STARTING)
    [found] = past.lines()
    assert (found.status, found.days["pending"]) == ("pending", 2)


def test_a_retry_belongs_to_the_export_of_its_run(past: Past) -> None:
    root = past.add(status=FAILURE)
    past.add(root=root, summary=PUBLISHED)
    past.add("ips", summary=PUBLISHED)
    assert [line.id for line in past.lines()][1:] == [root]


def test_the_summary_that_a_retry_inherits_does_not_count(past: Past) -> None:
    root = past.add(status=FAILURE, summary=HELD)
    run = past.instance.get_run_by_id(root)
    assert run
    past.add(root=root, status=STARTING, exporter__summary=run.tags["exporter/summary"])
    [found] = past.lines()
    assert (found.status, found.days["pending"]) == ("pending", 2)


def test_an_export_goes_on_while_dagster_is_about_to_retry_its_run(past: Past) -> None:
    past.add(status=FAILURE, dagster__will_retry="true")
    [found] = past.lines()
    assert (found.status, found.days["pending"]) == ("pending", 2)


def test_runs_that_export_nothing_are_left_out(past: Past) -> None:
    past.add("export_report")
    past.instance.add_run(dg.DagsterRun("prune_job", status=SUCCESS))
    assert past.lines() == []


@pytest.mark.parametrize(
    ("query", "datasets"),
    [
        ({}, ["ips", "anomalies", "logs"]),
        ({"dataset": "logs"}, ["logs"]),
        ({"status": "held"}, ["anomalies"]),
        ({"user": "olga"}, ["ips"]),
        ({"source": "schedule"}, ["logs"]),
        ({"last": dt.date(2020, 1, 1)}, []),
        ({"first": dt.date(2020, 1, 1)}, ["ips", "anomalies", "logs"]),
    ],
)
def test_a_list_can_be_filtered(past: Past, query: dict[str, Any], datasets: list[str]) -> None:
    past.add("logs", summary=PUBLISHED, dagster__schedule_name="logs_schedule")
    past.add("anomalies", status=FAILURE, summary=HELD)
    past.add("ips", summary=PUBLISHED, exporter__user="olga")
    assert [line.datasets[0] for line in past.lines(**query)] == datasets


@pytest.mark.parametrize("storage", ["past", "past_in_postgresql"])
def test_pages_have_every_export_once(storage: str, request: pytest.FixtureRequest) -> None:
    past = request.getfixturevalue(storage)
    groups = [f"export {number % 12}" for number in range(36)]
    for group in groups:  # three runs each, far from each other
        past.add(summary=PUBLISHED, exporter__export=group)
    ids, cursor = list[str](), None
    while True:
        page = past.history.page(HistoryQuery(), limit=5, cursor=cursor)
        ids += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert ids == [f"export {number}" for number in reversed(range(12))]


def test_days_and_events_are_read_from_postgresql(past_in_postgresql: Past) -> None:
    past_in_postgresql.add(status=FAILURE)
    past_in_postgresql.add(summary=PUBLISHED, exporter__user="olga")
    today = dt.datetime.now(dt.UTC).date()
    published, failed = past_in_postgresql.lines(first=today - dt.timedelta(days=1))
    assert (published.status, failed.status) == ("completed", "failed")
    assert past_in_postgresql.lines(user="olga") == [published]
    assert past_in_postgresql.lines(last=today - dt.timedelta(days=1)) == []


def test_an_unknown_dataset_is_refused_unless_it_has_exports(past: Past) -> None:
    past.add("removed_since", summary=PUBLISHED)
    with pytest.raises(UnknownNameError, match=r"'nope' does not exist \(there are: anomalies, "):
        past.lines(dataset="nope")
    assert past.lines(dataset="anomalies") == []
    assert [each.datasets for each in past.lines(dataset="removed_since")] == [["removed_since"]]


def test_an_unknown_dataset_is_found_however_long_the_history_is(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter_pipelines.service.history._MOST_RUNS_PER_PAGE", 3)
    past.add("removed_since", summary=PUBLISHED)
    for name, number in (("removed_since", 5), ("export_report", None)):
        metadata = {"rows_exported": number} if number else {}
        event = dg.AssetMaterialization(name, metadata=metadata)
        past.instance.report_runless_asset_event(event)
    for _ in range(4):
        past.add(summary=PUBLISHED)
    for unknown in ("nope", "export_report"):
        with counted() as sent:
            with pytest.raises(UnknownNameError, match=f"'{unknown}' does not exist"):
                past.lines(dataset=unknown)
            assert len(sent()) <= 14
    assert past.lines(dataset="anomalies") == []
    first = past.history.page(HistoryQuery(dataset="removed_since"))
    assert first.items == []
    second = past.history.page(HistoryQuery(dataset="removed_since"), cursor=first.next_cursor)
    assert [each.datasets for each in second.items] == [["removed_since"]]


def test_a_wrong_cursor_is_refused(past: Past) -> None:
    with pytest.raises(Problem) as refused:
        past.history.page(HistoryQuery(), cursor="odd")
    assert refused.value.status == 422
    assert refused.value.errors[0].pointer == "/cursor"


def test_a_page_of_many_runs_takes_a_few_queries_and_reads_a_few_records(past: Past) -> None:
    for number in range(140):
        past.add(summary=PUBLISHED, exporter__export=f"export {number // 2}")
    with counted() as sent:
        assert len(past.history.page(HistoryQuery(), limit=50).items) == 50
        assert len(sent()) <= 8


def test_the_numbers_of_the_user(past: Past) -> None:
    past.add(summary=DatasetSummary(
        days=2, published=2, rows=100, rows_read=125, rejected=25, nulls=10, values=200,
        repeated_keys=3,
    ))  # fmt: skip
    past.add(status=FAILURE, summary=HELD)
    past.add(status=STARTING)
    found = past.history.metrics(HistoryQuery())
    assert (found.totalExports, found.successRate, found.averageRecords) == (2, 50, 75)
    quality = found.qualityMetrics
    assert quality.valid_pct == pytest.approx(100 * 150 / 175, abs=0.001)
    assert (quality.completeness_pct, quality.repeated_keys) == (95, 3)
    assert quality.rejected_rows == 25


def test_numbers_over_nothing_are_null(past: Past) -> None:
    found = past.history.metrics(HistoryQuery())
    assert (found.totalExports, found.successRate, found.averageRecords) == (0, None, None)
    assert found.qualityMetrics.valid_pct is None


def test_days_at_the_ends_of_the_calendar_restrict_nothing() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert list(Scan(instance, None, dt.date.min, dt.date.max).runs(None)) == []
