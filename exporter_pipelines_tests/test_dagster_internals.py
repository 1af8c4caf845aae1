"""Each private part of Dagster that the product uses, and the test that notices a change."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from exporter_pipelines.orchestration import dagster_internals
from exporter_pipelines.orchestration.dagster_internals.run_processes import has_no_process
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import history_of
from exporter_pipelines_tests.support.projects import Project
from exporter_pipelines_tests.support.servers import daemon, web_server

TESTS = Path(__file__).parent
PIECES = sorted(
    file for file in Path(dagster_internals.__path__[0]).glob("*.py") if file.stem != "__init__"
)
DAY = "2026-11-01"


@pytest.mark.parametrize("piece", PIECES, ids=lambda file: file.stem)
def test_a_piece_states_its_reason_and_names_its_test(piece: Path) -> None:
    text = ast.get_docstring(ast.parse(piece.read_text())) or ""
    assert re.search(r"^Reason: \S+", text, re.M)
    assert re.search(
        r"^Upstream: (none found\.|https://github\.com/dagster-io/dagster/issues/\d+)$", text, re.M
    )
    found = re.search(r"^Test: (test_\w+\.py)::(test_\w+)$", text, re.M)
    assert found
    assert f"def {found[2]}(" in (TESTS / found[1]).read_text()


@pytest.mark.slow
def test_the_process_of_a_launched_run(project: Project, backend: Backend) -> None:
    backend.add_logs(DAY, 10)
    assert project.dagster("instance", "migrate").code == 0
    with web_server(project) as server, daemon(project, seconds=1), history_of(project) as instance:
        with psycopg.connect(backend.url) as connection:
            connection.execute("LOCK TABLE logs IN ACCESS EXCLUSIVE MODE")
            backfill = server.launch_backfill(["logs"], [DAY])
            run = started_run(instance)
            assert not has_no_process(instance, run)
        assert server.finished_backfill(backfill)["status"] == "COMPLETED_SUCCESS"
        deadline = time.monotonic() + 60
        while not has_no_process(instance, run):  # it ends shortly after its last event
            assert time.monotonic() < deadline
            time.sleep(0.2)


def started_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """The only run, once it has started."""
    deadline = time.monotonic() + 120
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    while not (records := instance.get_run_records(started)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return records[0].dagster_run
