"""`exporter keep` and `exporter accept-source`, and what the Dagster UI shows of them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from exporter_pipelines import api
from exporter_pipelines.cli import main
from exporter_pipelines.errors import DayHeldError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import check_statuses, quick_instance
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner, failure

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"


def exporter(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def runner(
    settings: dict[str, str], backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """Three published days, of which the first two are held since."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(quick_instance(home)))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    for number, day in enumerate((ONE, TWO, THREE)):
        backend.add_logs(day, 20, first_id=1000 * number)
    runner = Runner([dataset()], instance=dg.DagsterInstance.get())
    assert runner.run("logs", ONE, THREE).success
    backend.run("DELETE FROM logs WHERE id < 2000")
    assert not runner.run("logs", ONE, THREE).success
    return runner


def partitions(runner: Runner) -> set[str]:
    """Days that the partition status bar of the check shows as failed."""
    statuses = check_statuses(runner.instance, "logs", "no_lost_rows")
    return {day for day, status in statuses.items() if day and status == "FAILED"}


def test_kept_days_become_green_and_are_skipped(runner: Runner, store: LocalStore) -> None:
    assert partitions(runner) == {ONE, TWO}
    kept = exporter("keep", "logs", ONE, THREE)
    assert (kept.exit_code, kept.output) == (
        0,
        f"Kept 2 published days of logs: {ONE}, {TWO}.\n",
    )
    assert partitions(runner) == set()
    again = runner.run("logs", ONE, THREE)
    assert again.success
    assert runner.run("logs", ONE).success
    assert [len(store.published_days("logs")), store.entries("logs", ONE)[-1].event] == [3, "kept"]
    assert exporter("keep", "logs", ONE).output == (
        f"No day of logs from {ONE} to {ONE} is held: nothing to keep.\n"
    )
    assert api.export_day("logs", ONE).record_count == 20


def test_a_day_that_changes_after_it_was_kept_is_judged_again(
    runner: Runner, backend: Backend, store: LocalStore
) -> None:
    assert exporter("keep", "logs", ONE).exit_code == 0
    backend.add_logs(ONE, 3, first_id=50_000)
    held = runner.run("logs", ONE)
    assert "20 rows are gone" in failure(held)
    with pytest.raises(DayHeldError):
        api.export_day("logs", ONE)
    again = exporter("keep", "logs", ONE)
    assert (again.exit_code, again.exception) == (0, None)
    assert partitions(runner) == {TWO}


def test_a_command_names_a_mistake(runner: Runner) -> None:
    for arguments, code, said in (
        (["keep", "lgs", ONE], 2, "does not exist"),
        (["keep", "logs", "yesterday"], 2, "does not match the format"),
        (["keep", "logs", TWO, ONE], 1, "is before the first day"),
        (["accept-source", "lgs"], 2, "does not exist"),
        (["accept-source", "logs"], 0, "already is the accepted source"),
    ):
        result = exporter(*arguments)
        assert (result.exit_code, said in result.output) == (code, True), result.output


def test_an_accepted_source_warns_no_more(runner: Runner, backend: Backend) -> None:
    # The same rows in a table of another name, as after a migration.
    [(name,)] = backend.run("SELECT current_database()")
    backend.run(
        "CREATE SCHEMA moved; ALTER TABLE logs SET SCHEMA moved;"
        f"ALTER DATABASE {name} SET search_path = moved, public"
    )
    backend.add_logs("2026-11-04", 20, first_id=9000)
    assert runner.run("logs", "2026-11-04").success
    assert check_statuses(runner.instance, "logs", "same_source")["2026-11-04"] == "FAILED"
    assert "is accepted as the source of logs" in exporter("accept-source", "logs").output
    assert runner.run("logs", "2026-11-04").success
    assert check_statuses(runner.instance, "logs", "same_source")["2026-11-04"] == "SUCCEEDED"
