"""Every error has its entry in docs/failures.md, and a red day says where to read it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import dagster as dg
import pytest

import exporter_pipelines
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.exports.outcome import HELD
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.support.runs import Runner, failure

PAGE = (ROOT / "docs" / "failures.md").read_text()
ONE, TWO = "2026-11-01", "2026-11-02"


def kinds_of_error() -> list[type[ExporterError]]:
    """All that this project defines, wherever they are defined."""
    for module in pkgutil.walk_packages(exporter_pipelines.__path__, "exporter_pipelines."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, left = [], [ExporterError]
    while left:
        found.append(kind := left.pop())
        left += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("exporter_pipelines.")]


def test_every_error_has_an_entry_that_names_it() -> None:
    entries = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): text
        for heading, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE)
    }
    kinds = kinds_of_error()
    assert len(kinds) > 20
    for kind in kinds:
        assert kind.docs_anchor in entries, f"{kind.__name__}: docs/failures.md#{kind.docs_anchor}"
        assert f"`{kind.__name__}`" in entries[kind.docs_anchor], kind.__name__
    # A message as it appears, or it is not found by who searches for it.
    assert [entry for entry, text in entries.items() if len(text.strip()) < 80] == []


@pytest.fixture
def logs(settings: dict[str, str], backend: Backend) -> Runner:
    for number, day in enumerate((ONE, TWO)):
        backend.add_logs(day, 50, first_id=1000 * number)
    return Runner([dataset()])


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_the_page_of_a_held_day_says_why_where_and_what_to_do(
    logs: Runner, backend: Backend, last: str
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [ONE])
    result = logs.run("logs", ONE, last)
    assert failure(result).rstrip().endswith(f"See docs/failures.md#{HELD}")
    shown = {e.check_name: e for e in result.get_asset_check_evaluations() if e.partition == ONE}
    for check in ("rejected_rows", "rejection_limits"):
        metadata = shown[check].metadata
        path = metadata["quarantine"]
        assert isinstance(path, dg.PathMetadataValue)
        assert f"/logs/quarantine/date={ONE}/logs-{ONE}." in path.value
        assert path.value in failure(result)
        assert f"docs/failures.md#{HELD}" in metadata["what_to_do"].value
    assert shown["rejected_rows"].metadata["failed.known_level.level"].value == 50
    assert "50 x known_level (level)" in shown["rejected_rows"].description
    assert "what_to_do" not in shown["row_conservation"].metadata


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_warning_says_where_its_rows_lie(logs: Runner, backend: Backend, last: str) -> None:
    backend.run("UPDATE logs SET message = NULL WHERE id = 1")
    result = logs.run("logs", ONE, last)
    assert result.success
    shown = {e.check_name: e for e in result.get_asset_check_evaluations() if e.partition == ONE}
    for check in ("rejected_rows", "required_fields"):
        assert f"/date={ONE}/" in shown[check].metadata["quarantine"].value
        assert "what_to_do" not in shown[check].metadata


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_day_that_is_not_published_says_so_on_its_own_page(
    logs: Runner, backend: Backend, last: str
) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [ONE])
    result = logs.run("logs", ONE, last)
    [seen] = [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.is_asset_observation
    ]
    assert seen.partition == ONE
    assert "held, nothing new is published. 50 of 50 rows rejected" in (seen.description or "")
    assert seen.metadata["see"].value == f"docs/failures.md#{HELD}"
    assert seen.metadata["failed.known_level.level"].value == 50
    assert f"/logs/quarantine/date={ONE}/" in seen.metadata["quarantine"].value


def test_a_range_says_of_no_held_day_that_it_was_published(logs: Runner, backend: Backend) -> None:
    backend.run("UPDATE logs SET level = NULL WHERE timestamp::date = %s", [ONE])
    result = logs.run("logs", ONE, TWO)
    closing = [e for e in result.get_asset_check_evaluations() if e.partition is None]
    assert {e.check_name for e in closing if not e.passed} >= {"rejected_rows", "required_fields"}
    for evaluation in closing:
        assert "Published with a warning" not in (evaluation.description or "")
        if not evaluation.passed:
            assert f"Held: {ONE}." in (evaluation.description or "")
