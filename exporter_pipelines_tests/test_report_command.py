"""`exporter report`: the page without the daemon, and the days that it leaves out."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from exporter_pipelines import extras
from exporter_pipelines.cli import main
from exporter_pipelines.orchestration.report import rendering
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.layout import report_index, report_page
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations, quick_instance
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.report_pages import Page
from exporter_pipelines_tests.support.runs import Runner

ONE, TWO, THREE = "2026-11-01", "2026-11-02", "2026-11-03"


def report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments])


@pytest.fixture
def runner(
    settings: dict[str, str], backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """Two published days and one that is held, in a history on disk."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(quick_instance(home)))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    for number, day in enumerate((ONE, TWO, THREE)):
        backend.add_logs(day, 100, first_id=1000 * number)
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [TWO])
    runner = Runner([dataset()], instance=dg.DagsterInstance.get())
    assert not runner.run("logs", ONE, THREE).success
    return runner


def test_it_writes_the_newest_report_and_prints_its_path(runner: Runner, store: LocalStore) -> None:
    done = report()
    assert (done.exit_code, done.output) == (0, f"{report_index(store.root)}\n")
    page = Page(report_index(store.root).read_text())
    assert page.figures["Exports"] == "3 2 published, 1 held, 0 failed, 0 cancelled"
    assert [row[0] for row in page.tables["days"][1:]] == [THREE, TWO, ONE]
    assert "not in this report" not in page.text
    assert "left out" not in page.text
    assert materializations(runner.instance, "export_report", THREE) == []


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_report_of_a_day_leaves_the_newest_in_place(runner: Runner, store: LocalStore) -> None:
    done = report(ONE)
    assert (done.exit_code, done.output) == (0, f"{report_page(store.root, ONE)}\n")
    assert [r[0] for r in Page(report_page(store.root, ONE).read_text()).tables["days"][1:]] == [
        ONE
    ]
    newest = Page(report_index(store.root).read_text())
    assert [row[0] for row in newest.tables["days"][1:]] == [THREE, TWO, ONE]


def test_a_report_names_the_published_days_before_its_own(
    runner: Runner, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "DAYS", 2)
    monkeypatch.setattr(rendering, "MOST_EXPORTS", 2)
    assert report(THREE).exit_code == 0
    page = Page(report_page(store.root, THREE).read_text())
    assert "not in this report" not in page.text  # the newest two published days, and one between
    assert "Older runs are left out, also in the number of exports" in page.text

    monkeypatch.setattr(rendering, "DAYS", 1)
    assert report(THREE).exit_code == 0
    page = Page(report_page(store.root, THREE).read_text())
    assert (
        f"1 published day before {THREE} is not in this report, which has the newest 1. "
        f"exporter report {ONE} shows it." in " ".join(page.text.split())
    )


@pytest.mark.usefixtures("runner")
def test_what_is_wrong_is_one_sentence(monkeypatch: pytest.MonkeyPatch, store: LocalStore) -> None:
    assert report("2026-13-01").exit_code == 2
    assert "is after the last day that can be exported, 2026-11-14" in report("2026-11-15").output
    monkeypatch.setitem(extras.EXTRAS, "report", ("no_such_module",))
    done = report()
    assert done.exit_code == 2
    assert "needs the extra 'report'" in done.output
    assert not report_index(store.root).exists()
