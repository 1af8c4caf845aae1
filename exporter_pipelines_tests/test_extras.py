"""Without the packages of the extras everything else works, and each feature says what it needs."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from exporter_pipelines import extras
from exporter_pipelines_tests.support.alert_receivers import inbox
from exporter_pipelines_tests.support.alerting import alerting_project
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.doctor_runs import Doctor
from exporter_pipelines_tests.support.missing_packages import hide
from exporter_pipelines_tests.support.projects import ROOT, Project

DAY = "2026-11-01"
INSTALL = "Run `pip install -e '.[{0}]'` in the project folder."
NEEDS_REPORT = f"The export report needs the extra 'report', which is not installed. {INSTALL}"
NEEDS_DEMO = (
    "The sample backend (EXPORTER_SOURCE_URL=demo) needs the extra 'demo', which is not installed. "
    f"{INSTALL}"
)
NEEDS_ALERTS = (
    "Sending alerts (EXPORTER_ALERT_URLS) needs the extra 'alerts', which is not installed. "
    + INSTALL
)
ABSENT = [modules[0] for modules in extras.EXTRAS.values()]


@pytest.fixture
def bare(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that was installed without extras."""
    hidden = hide(tmp_path / "hidden", *ABSENT)
    path = os.pathsep.join([hidden, str(project.path)])
    monkeypatch.setattr(Project, "environment", {**project.environment, "PYTHONPATH": path})
    return project


def test_days_are_exported_and_the_report_says_what_it_needs(
    bare: Project, backend: Backend
) -> None:
    backend.add_logs(DAY, 5)
    done = bare.materialize("logs,export_report", partition=DAY)
    assert done.code == 1
    assert done.last_words.startswith(NEEDS_REPORT.format("report"))
    assert bare.manifest("logs", DAY)


def test_the_sample_backend_says_what_it_needs(bare: Project) -> None:
    bare.set(EXPORTER_SOURCE_URL="demo")
    code = f"from exporter_pipelines import api; api.export_day('logs', {DAY!r})"
    assert bare.python(code).stderr.rstrip().endswith(NEEDS_DEMO.format("demo"))
    bare.set(EXPORTER_SERVE_PORT="3999")
    tour = bare.python(
        "import os; from exporter_pipelines.demo.__main__ import main\n"
        "os.environ.pop('EXPORTER_SERVE_PORT')\n"
        "print(main(), os.environ['EXPORTER_SERVE_PORT'])"
    )
    says = NEEDS_DEMO.format("demo")
    assert (tour.code, tour.stdout.splitlines()) == (0, [says, "2 3999"]), "it reads .env itself"


def test_commands_say_what_they_need(bare: Project) -> None:
    bare.set(EXPORTER_ALERT_URLS="json://127.0.0.1:1/")
    tried = bare.exporter("alert-test")
    assert (tried.code, tried.stderr) == (1, f"Error: {NEEDS_ALERTS.format('alerts')}\n")
    lines = [line for line in bare.exporter("doctor").stdout.splitlines() if " extras " in line]
    assert {line.split()[0] for line in lines if "'alerts'" not in line} == {"warn"}
    assert [line.split()[0] for line in lines if "'alerts'" in line] == ["FAIL"]
    for line, extra in zip(lines, extras.EXTRAS, strict=True):
        assert line.endswith(INSTALL.format(extra))


def test_alerts_are_kept_until_their_extra_is_installed(
    settings: dict[str, str], backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inbox() as receiver, alerting_project(receiver, tmp_path, monkeypatch) as alerting:
        with monkeypatch.context() as patched:
            patched.setitem(extras.EXTRAS, "alerts", ("a_package_that_is_not_there",))
            backend.add_logs(DAY, 50)
            backend.run("UPDATE logs SET level = 'odd'")
            alerting.run(DAY)
            said = alerting.tick()
            assert said.splitlines() == 2 * [
                f"{NEEDS_ALERTS.format('alerts')} Alerts are kept until then."
            ]
            assert receiver.posts == []
        [held] = alerting.received()
        assert held["title"] == f"[exporter] logs {DAY}: held"


def test_the_report_sensor_starts_no_run_that_would_fail(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with inbox() as receiver, alerting_project(receiver, tmp_path, monkeypatch) as alerting:
        monkeypatch.setitem(extras.EXTRAS, "report", ("a_package_that_is_not_there",))
        assert alerting.tick("export_report_sensor") == NEEDS_REPORT.format("report")


def test_the_doctor_names_what_is_installed(doctor: Doctor) -> None:
    found = doctor.run().found("ok", "extras", None)
    assert found["message"] == f"Installed: {', '.join(extras.EXTRAS)}"


def test_setup_and_the_package_name_the_same_extras() -> None:
    body = ast.parse((ROOT / "setup.py").read_text()).body
    [assigned] = [
        node.value
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS"
    ]
    assert list(ast.literal_eval(assigned)) == list(extras.EXTRAS)
