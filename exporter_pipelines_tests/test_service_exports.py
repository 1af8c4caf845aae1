"""Exports that the service starts, follows, cancels and repeats, in real runs of Dagster."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner
from dagster._daemon.daemon import BackfillDaemon, DagsterDaemon, SensorDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._daemon.types import DaemonHeartbeat

from exporter_pipelines import cli, definitions
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.dagster_internals.web_server import WebUser
from exporter_pipelines.orchestration.exports.command_run import CommandRuns
from exporter_pipelines.orchestration.exports.live_progress import live_progress
from exporter_pipelines.orchestration.exports.run_presence import forget
from exporter_pipelines.service import previews
from exporter_pipelines.service.app import create_api
from exporter_pipelines.service.history import HistoryQuery
from exporter_pipelines.service.launching import Launcher
from exporter_pipelines.service.models import Export, ExportRequest, RerunRequest
from exporter_pipelines.service.page.views import card_of
from exporter_pipelines.service.problems import Problem
from exporter_pipelines_tests.support.api_clients import client_of
from exporter_pipelines_tests.support.backends import (
    ANOMALIES,
    IPS,
    LOGS,
    Backend,
    fresh_database,
)
from exporter_pipelines_tests.support.service import EXPORTER, OPERATOR, Service, service
from exporter_pipelines_tests.support.waiting import wait_until

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


@pytest.fixture(scope="module")
def ended(running: Service) -> Export:
    """An export of two datasets that has ended, with a held day."""
    started = running.exports.start(request("logs", "ips", title="Both"), EXPORTER)
    assert started.export.status == "pending"
    assert started.export.days["pending"] == 6
    assert started.export.progress_pct == 0
    running.work_off()
    return running.exports.get(started.export.id)


@pytest.fixture
def nothing_queued(running: Service) -> Iterator[None]:
    """Cancel what a test has left in the queue."""
    yield
    for run in running.queued():
        running.instance.report_run_canceled(run)


def problem_of(call: Callable[[], object]) -> Problem:
    """The problem that a call is refused with."""
    with pytest.raises(Problem) as refused:
        call()
    return refused.value


def test_an_export_ends_with_the_result_of_each_day(ended: Export) -> None:
    assert ended.status == "held"
    assert ended.days["published"] == 5
    assert ended.days["held"] == 1
    assert ended.progress_pct == 100
    assert ended.rows_exported == 30
    assert (ended.user, ended.source, ended.title) == ("emil", "rest", "Both")
    [held] = [result for result in ended.results if result.status == "held"]
    assert (held.dataset, str(held.day), held.docs_entry) == ("logs", TWO, "a-day-is-held")
    assert held.problem
    assert "200 of 200 rows rejected" in held.problem
    assert ended.errors == [f"logs {TWO}: {held.problem}"]
    assert ended.started_at
    assert ended.ended_at
    assert {run.status for run in ended.runs} == {"SUCCESS", "FAILURE"}


def test_the_list_has_the_same_line(running: Service, ended: Export) -> None:
    [line] = [each for each in running.history.page(HistoryQuery()).items if each.id == ended.id]
    wanted = {key: value for key, value in dict(ended).items() if key in dict(line)}
    assert dict(line) == wanted


def test_an_export_answers_to_the_id_of_each_of_its_runs(running: Service, ended: Export) -> None:
    assert {running.exports.get(run.run_id).id for run in ended.runs} == {ended.id}
    refused = problem_of(lambda: running.exports.get("unknown"))
    assert (refused.status, refused.detail) == (
        404, "There is no export 'unknown'. `exporter history` or GET /api/v1/exports lists them."
    )  # fmt: skip


def test_a_run_whose_dataset_was_renamed_since_says_so(running: Service) -> None:
    keys = frozenset({dg.AssetKey("renamed")})
    tags = {"dagster/partition": "2026-11-01"}
    status = dg.DagsterRunStatus.CANCELED  # so that it waits for nothing
    run = dg.DagsterRun("__ASSET_JOB", asset_selection=keys, tags=tags, status=status)
    running.instance.add_run(run)
    refused = problem_of(lambda: running.exports.get(run.run_id))
    assert (refused.status, refused.detail) == (
        404,
        f"'{run.run_id}' is a run of renamed, and no dataset or preset has such a name now. "
        "The Dagster UI shows the run.",
    )


def test_an_export_that_has_ended_cannot_be_cancelled(running: Service, ended: Export) -> None:
    refused = problem_of(lambda: running.exports.cancel(ended.id, OPERATOR))
    assert (refused.status, refused.detail) == (409, "The export has ended: it is held.")


@pytest.mark.usefixtures("nothing_queued")
def test_a_run_that_ends_while_it_is_cancelled_does_not_stay_so(running: Service) -> None:
    started = running.exports.start(request("ips"), EXPORTER).export
    [run_id] = running.launch()
    run = running.wait(run_id)
    running.instance.report_run_canceling(run)  # as Dagster does if it had asked just before
    after = running.exports.cancel(started.id, OPERATOR)
    assert [run.status for run in after.runs] == ["CANCELED"]
    assert {result.status for result in after.results} == {"published"}


@pytest.mark.usefixtures("nothing_queued")
def test_held_days_are_exported_again(running: Service, ended: Export) -> None:
    again = running.exports.rerun(ended.id, RerunRequest(), EXPORTER).export
    assert again.rerun_of == ended.id
    assert [(each.dataset, str(each.day)) for each in again.results] == [("logs", TWO)]
    refused = problem_of(
        lambda: running.exports.rerun(ended.id, RerunRequest(only=["failed"]), EXPORTER)
    )
    assert (refused.status, refused.detail) == (
        409, f"There is no day to export again: export {ended.id} has no failed day."
    )  # fmt: skip


@pytest.mark.usefixtures("nothing_queued", "ended")
def test_only_chooses_days_of_a_range_with_gaps(running: Service) -> None:
    wanted = request("logs", "ips", last=FOUR, only=["missing"])
    started = running.exports.start(wanted, EXPORTER).export
    days = [(each.dataset, str(each.day)) for each in started.results]
    assert days == [("ips", FOUR), ("logs", TWO), ("logs", FOUR)]
    [gap] = [run for run in running.queued() if run.tags.get("exporter/days") and run.run_config]
    assert gap.run_config["ops"] == {"logs": {"config": {"days": [TWO, FOUR]}}}
    nothing = request("ips", only=["held"])
    refused = problem_of(lambda: running.exports.start(nothing, EXPORTER))
    assert (refused.status, refused.detail[:26]) == (409, "There is no day to export:")


@pytest.mark.usefixtures("nothing_queued")
def test_a_queued_export_is_cancelled_at_once_without_a_daemon(running: Service) -> None:
    started = running.exports.start(request("logs", "ips"), EXPORTER).export
    cancelled = running.exports.cancel(started.id, EXPORTER)
    assert (cancelled.status, cancelled.days["cancelled"]) == ("cancelled", 6)
    assert cancelled.progress_pct == 0


NO_DAEMON = "so exports wait. Start it with `exporter serve --daemon`"


@pytest.fixture
def heartbeat(running: Service) -> Iterator[Callable[[type[DagsterDaemon], float], None]]:
    """Writes a daemon's heartbeat of so many seconds ago."""

    def write(daemon: type[DagsterDaemon], ago_s: float) -> None:
        beat = DaemonHeartbeat(time.time() - ago_s, daemon.daemon_type(), "one", [])
        running.instance.add_daemon_heartbeat(beat)

    yield write
    running.instance.wipe_daemon_heartbeats()


@pytest.mark.usefixtures("nothing_queued")
def test_a_pending_export_says_that_no_daemon_runs(
    running: Service, heartbeat: Callable[[type[DagsterDaemon], float], None]
) -> None:
    export_id = running.exports.start(request(), EXPORTER).export.id
    viewer = client_of(create_api(running.context), "viewer")

    def answers() -> list[str]:
        pages = [viewer.get(path).text for path in ("/exports", f"/exports/{export_id}")]
        return [*pages, CliRunner().invoke(cli.main, ["status", export_id]).output]

    assert [f"No daemon is running, {NO_DAEMON}" in answer for answer in answers()] == [True] * 3
    shown = viewer.get(f"/api/v1/exports/{export_id}", headers={"Prefer": "wait=1"}).json()
    [listed] = viewer.get("/api/v1/exports?limit=1").json()["items"]
    for each in (shown, listed):
        assert each["status"] == "pending"
        assert each["why_waiting"].startswith(f"No daemon is running, {NO_DAEMON}")
    assert 'href="/docs/deployment"' in answers()[0]
    heartbeat(SensorDaemon, 0)
    heartbeat(QueuedRunCoordinatorDaemon, 900)
    ago = f"No daemon is running (last seen 15 min ago), {NO_DAEMON}"
    assert [ago in answer for answer in answers()] == [True] * 3
    heartbeat(QueuedRunCoordinatorDaemon, 120)
    with_daemon = answers()
    assert [NO_DAEMON in answer for answer in with_daemon] == [False] * 3
    assert all("pending" in answer for answer in with_daemon)
    address = f"/api/v1/exports/{export_id}"  # its answer may be 0.7 s old
    wait_until(lambda: viewer.get(address).json()["why_waiting"] is None, "it waits for no daemon")
    running.instance.wipe_daemon_heartbeats()
    running.exports.cancel(export_id, EXPORTER)
    assert not any(NO_DAEMON in answer for answer in answers())


@pytest.mark.usefixtures("nothing_queued")
def test_a_key_starts_one_export_for_many_requests_at_once(running: Service) -> None:
    with ThreadPoolExecutor(10) as pool:
        calls = [
            pool.submit(running.exports.start, request(), EXPORTER, key="one") for _ in range(50)
        ]
        answers = [call.result() for call in calls]
    assert len({answer.export.id for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len(running.queued()) == 1


@pytest.mark.usefixtures("nothing_queued")
def test_a_key_is_for_one_request_of_one_user(running: Service) -> None:
    first = running.exports.start(request(), EXPORTER, key="two").export
    refused = problem_of(lambda: running.exports.start(request(last=FOUR), EXPORTER, key="two"))
    assert (refused.status, refused.errors[0].pointer) == (422, "/Idempotency-Key")
    assert running.exports.start(request(), OPERATOR, key="two").export.id != first.id


class _Killed(BaseException):
    """The service is killed here."""


@pytest.mark.usefixtures("nothing_queued")
@pytest.mark.parametrize("survivors", [0, 1, 2])
def test_an_export_is_started_once_although_the_service_was_killed(
    running: Service, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    wanted, key = request("logs", "ips"), f"killed {survivors}"
    submitted, real = [], running.instance.submit_run

    def submit(run_id: str, workspace: object) -> object:
        if len(submitted) == survivors:
            raise _Killed  # its run is created, and not in the queue
        submitted.append(run_id)
        return real(run_id, workspace)

    with monkeypatch.context() as patch:
        patch.setattr(running.instance, "submit_run", submit)
        with pytest.raises(_Killed) if survivors < 2 else nullcontext():
            running.exports.start(wanted, EXPORTER, key=key)
    again = running.exports.start(wanted, EXPORTER, key=key)
    assert again.replayed
    assert again.export.days["pending"] == 6
    selected = [run.asset_selection or frozenset() for run in running.queued()]
    assert sorted(key.to_user_string() for keys in selected for key in keys) == ["ips", "logs"]


@pytest.mark.usefixtures("nothing_queued")
def test_a_run_that_never_got_into_the_queue_is_cancelled(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(running.instance, "submit_run", killed)
        with pytest.raises(_Killed):
            running.exports.start(request(), EXPORTER)
    [line] = running.history.page(HistoryQuery(status="pending")).items
    assert running.exports.cancel(line.id, EXPORTER).status == "cancelled"


@pytest.mark.usefixtures("nothing_queued")
def test_a_user_has_a_few_exports_at_once(running: Service) -> None:
    for _ in range(4):
        running.exports.start(request(), EXPORTER)
    refused = problem_of(lambda: running.exports.start(request(), EXPORTER))
    assert (refused.status, refused.headers) == (429, {"Retry-After": "10"})
    running.exports.start(request(), OPERATOR)


@pytest.mark.usefixtures("nothing_queued")
def test_what_is_started_has_the_tags_of_its_user(running: Service) -> None:
    running.exports.start(request("logs", "ips", batch_rows=5_000), EXPORTER, source="page")
    for run in running.queued():
        assert run.tags["exporter/user"] == "emil"
        assert run.tags["exporter/days"] == "6"
        [config] = run.run_config["ops"].values()
        assert config == {"config": {"batch_rows": 5_000}}


def test_only_an_operator_may_accept_a_loss(running: Service) -> None:
    refused = problem_of(lambda: running.exports.start(request(), EXPORTER, accept_loss=True))
    assert refused.status == 403


@pytest.mark.parametrize(
    ("wrong", "pointer", "says"),
    [
        ({"datasets": ["logs", "lgs"]}, "/datasets/1", "The datasets are anomalies, ips, logs"),
        ({"first": "2026-10-31"}, "/start_date", "EXPORTER_START_DATE=2026-11-01"),
        ({"first": TWO, "last": ONE}, "/end_date", "is before start_date"),
        ({"last": "2026-11-15"}, "/end_date", "EXPORTER_END_DATE=2026-11-15"),
    ],
)
def test_a_mistake_is_named_by_its_field(
    running: Service, wrong: dict[str, Any], pointer: str, says: str
) -> None:
    names = wrong.pop("datasets", ["logs"])
    for call in (running.exports.preview, lambda body: running.exports.start(body, EXPORTER)):
        refused = problem_of(lambda call=call: call(request(*names, **wrong)))
        assert refused.status == 422
        assert refused.errors[0].pointer == pointer
        assert says in refused.errors[0].message


@pytest.mark.usefixtures("ended")
def test_a_preview_counts_the_rows_of_each_day(running: Service) -> None:
    found = running.exports.preview(request())
    assert [(day.rows, day.published_rows, day.state) for day in found.days] == [
        (20, 20, "published"), (200, None, "held"), (10, 10, "published"),
    ]  # fmt: skip
    assert found.rows == 230


def test_a_preview_says_why_rows_are_not_known(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "COUNT_S", 0.0)
    found = running.exports.preview(request(last=ONE))
    assert (found.rows, found.days[0].rows) == (None, None)
    assert found.days[0].reason


_BACKFILL = """
mutation Launch($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    ... on LaunchBackfillSuccess { backfillId }
  }
}"""


def test_a_backfill_that_waits_for_the_daemon_is_listed_and_cancelled(
    running: Service, heartbeat: Callable[[type[DagsterDaemon], float], None]
) -> None:
    backfill = {
        "assetSelection": [{"path": ["logs"]}], "partitionNames": [ONE, THREE], "title": "Two days",
    }  # fmt: skip
    answer = running.ui.graphql(WebUser(True, {"exporter/user": "olga"}), _BACKFILL,
                                {"backfill": backfill})  # fmt: skip
    id_ = answer["data"]["launchPartitionBackfill"]["backfillId"]
    newest = running.history.page(HistoryQuery()).items[0]
    assert (newest.id, newest.status, newest.source) == (id_, "pending", "ui")
    assert (newest.title, newest.user) == ("Two days", "olga")
    assert newest.days["pending"] == 2
    assert newest.links.dagster == f"/runs/b/{id_}"
    waiting = running.exports.get(id_)
    assert waiting.progress_pct == 0
    heartbeat(QueuedRunCoordinatorDaemon, 0)
    assert NO_DAEMON in (running.exports.get(id_).why_waiting or "")
    heartbeat(BackfillDaemon, 0)
    assert running.exports.get(id_).why_waiting is None
    assert running.exports.cancel(id_, OPERATOR).status == "cancelled"


def test_a_day_is_the_same_by_the_command(running: Service, ended: Export) -> None:
    before = sha256(running, ONE)
    with CommandRuns(
        definitions.build(), running.instance, accept_loss=False, total_days=2
    ) as command:
        command.execute({"logs": [ONE, THREE]})
    newest = running.history.page(HistoryQuery()).items[0]
    assert (newest.source, newest.status, newest.days["published"]) == ("cli", "completed", 2)
    assert ended.id != newest.id
    assert sha256(running, ONE) == before


def sha256(running: Service, day: str) -> list[str]:
    """Of the data files of a published day."""
    manifest = Manifest.if_readable(running.context.store.read_manifest("logs", day))
    assert manifest
    return [file.sha256 for file in manifest.files]


def test_days_that_a_run_gave_up_say_after_which_day(running: Service, backend: Backend) -> None:
    backend.run("ALTER TABLE anomalies RENAME TO elsewhere")
    try:
        started = running.exports.start(request("anomalies"), EXPORTER).export
        running.work_off()
    finally:
        backend.run("ALTER TABLE elsewhere RENAME TO anomalies")
    failed = running.exports.get(started.id)
    first, *others = [result.problem or "" for result in failed.results]
    assert "does not exist" in first
    assert others == [f"Not tried: the run gave up anomalies when {ONE} failed."] * 2
    card = card_of(running.context, failed)
    assert [each.days for each in card.first_reasons] == [ONE], "the cause comes first"
    assert [each.days for each in card.more_reasons] == [f"{TWO}, {THREE}"]


@pytest.mark.usefixtures("ended")
def test_a_running_export_is_followed_and_cancelled(running: Service, backend: Backend) -> None:
    backend.add_logs(FOUR, 50, first_id=9_000)
    with psycopg.connect(backend.url) as connection:
        started = running.exports.start(request(last=FOUR), EXPORTER).export
        # The run exports the first day, and then waits for the table.
        connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        [run_id] = running.launch()
        found = wait_until(
            lambda: running.exports.get(started.id), "the run reads a day",
            until=lambda export: export.current_day,
        )  # fmt: skip
        assert found.status == "running"
        assert (found.current_dataset, str(found.current_day)) == ("logs", ONE)
        assert found.days["running"] == 1
        assert found.progress_pct < 100
        [line] = [e for e in running.history.page(HistoryQuery()).items if e.id == started.id]
        assert (line.status, line.days["running"]) == ("running", 1)
        running.exports.cancel(started.id, OPERATOR)
        running.wait(run_id)
    cancelled = running.exports.get(started.id)
    assert (cancelled.status, cancelled.days["cancelled"]) == ("cancelled", 4)
    assert sha256(running, ONE), "the published export stays"
    assert live_progress(running.instance, run_id) is None


@pytest.mark.usefixtures("ended")
def test_a_run_that_begins_while_it_is_cancelled_is_cancelled(
    running: Service, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminate, asked, begun = Launcher.terminate, list[dict[str, str]](), list[str]()

    def begins_meanwhile(launcher: Launcher, runs: Sequence[str]) -> dict[str, str]:
        """The first request comes while the run is being started, and its answer after that."""
        begun.extend(running.launch())
        asked.append(terminate(launcher, runs))
        if len(asked) == 1:
            wait_until(lambda: running.exports.get(started.id).current_day, "the run reads a day")
        return asked[-1]

    with psycopg.connect(backend.url) as connection:
        connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        started = running.exports.start(request("logs", last=ONE), EXPORTER).export
        monkeypatch.setattr(Launcher, "terminate", begins_meanwhile)
        running.exports.cancel(started.id, OPERATOR)
        running.wait(begun[0])
    assert "STARTING" in asked[0][begun[0]]
    assert running.exports.get(started.id).status == "cancelled"


@pytest.mark.usefixtures("ended")
def test_a_killed_run_leaves_what_it_published(running: Service, backend: Backend) -> None:
    with psycopg.connect(backend.url) as connection:
        started = running.exports.start(request("logs", first=THREE, last=FOUR), EXPORTER).export
        connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
        [run_id] = running.launch()
        wait_until(lambda: running.exports.get(started.id).current_day, "the run reads a day")
        os.kill(running.pid_of(run_id), signal.SIGKILL)
    assert live_progress(running.instance, run_id), "a killed run removes nothing"
    run = running.instance.get_run_by_id(run_id)
    assert run
    running.instance.report_run_failed(run, "The process of this run has ended.")
    forget(running.instance, run_id)  # as the sensor for dead runs does
    assert live_progress(running.instance, run_id) is None
    waiting = running.exports.get(started.id)
    assert (waiting.status, waiting.days["pending"]) == ("running", 2), "Dagster will repeat it"
    failed = running.exports.cancel(started.id, EXPORTER)
    assert (failed.status, failed.days["failed"]) == ("failed", 2)
    assert failed.errors[0].startswith(f"logs {THREE}: The process of this run has ended.")
