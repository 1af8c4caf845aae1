"""Every error has its entry in docs/failures.md, and a red day says where to read it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import dagster as dg
import pytest

import exporter_pipelines
from exporter_pipelines import api
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine.actions import ACTIONS, action
from exporter_pipelines.engine.judge import CHECKS, PRIVACY_CHECKS
from exporter_pipelines.errors import DayHeldError, ExporterError
from exporter_pipelines.orchestration.exports.outcome import HELD
from exporter_pipelines.stores import LocalStore
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


def entries_of_the_page() -> dict[str, str]:
    """Anchor -> text."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): text
        for heading, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE)
    }


def test_every_problem_of_the_service_has_an_entry() -> None:
    entries = entries_of_the_page()
    code = [file.read_text() for file in (ROOT / "exporter_pipelines/service").rglob("*.py")]
    anchors = {name for text in code for name in re.findall(r'anchor[^"\n]*= ?"([a-z-]+)"', text)}
    assert {"a-request-is-refused", "a-role-is-missing"} <= anchors
    assert anchors <= entries.keys()


def test_every_error_has_an_entry_that_names_it() -> None:
    entries = entries_of_the_page()
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
        assert metadata["reason"].value == shown[check].description
        assert "quarantine file" in metadata["action"].value
        assert f"docs/failures.md#{HELD}" in metadata["action"].value
        assert metadata["what_to_do"] == metadata["action"]
    assert shown["rejected_rows"].metadata["failed.known_level.level"].value == 50
    assert "50 x known_level (level)" in shown["rejected_rows"].description
    assert not {"reason", "action", "what_to_do"} & shown["row_conservation"].metadata.keys()


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_warning_says_where_its_rows_lie(logs: Runner, backend: Backend, last: str) -> None:
    backend.run("UPDATE logs SET message = NULL WHERE id = 1")
    result = logs.run("logs", ONE, last)
    assert result.success
    shown = {e.check_name: e for e in result.get_asset_check_evaluations() if e.partition == ONE}
    for check in ("rejected_rows", "required_fields"):
        assert f"/date={ONE}/" in shown[check].metadata["quarantine"].value
        assert shown[check].metadata["reason"].value == shown[check].description
        assert "quarantine file" in shown[check].metadata["action"].value
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
    says = "held; this day has no published export. 50 of 50 rows rejected"
    assert (seen.description or "").startswith(says)
    assert seen.metadata["reason"].value.startswith("50 of 50 rows rejected")
    assert seen.metadata["action"].value == action("rejection_limits", "logs", [ONE])
    assert seen.metadata["published_export"].value == "none"
    assert seen.metadata["see"].value == f"docs/failures.md#{HELD}"
    assert seen.metadata["failed.known_level.level"].value == 50
    assert f"/logs/quarantine/date={ONE}/" in seen.metadata["quarantine"].value


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_held_day_names_the_published_export_that_stays(
    logs: Runner, backend: Backend, last: str, store: LocalStore
) -> None:
    assert logs.run("logs", ONE, TWO).success
    manifest = Manifest.if_readable(store.read_manifest("logs", ONE))
    assert manifest
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [ONE])
    published_at = f"{manifest.export_timestamp:%Y-%m-%d %H:%M:%S} UTC"
    result = logs.run("logs", ONE, last)
    assert f"logs {ONE}: held; the published export of {published_at} stays. 50" in failure(result)
    with pytest.raises(DayHeldError, match=f"held; the published export of {published_at} stays"):
        api.export_day("logs", ONE)


@pytest.mark.parametrize("last", ["", TWO], ids=["alone", "in a range"])
def test_a_day_with_lost_rows_names_the_commands_of_both_ways_out(
    logs: Runner, backend: Backend, last: str
) -> None:
    assert logs.run("logs", ONE, TWO).success
    backend.run("TRUNCATE logs")
    result = logs.run("logs", ONE, last)
    shown = {(e.partition, e.check_name): e for e in result.get_asset_check_evaluations()}
    todo = shown[ONE, "no_lost_rows"].metadata["action"].value
    assert f"`exporter export logs {ONE} --accept-loss`" in todo
    assert f"accept_loss_days: [{ONE}] in the run config" in todo
    assert f"`exporter keep logs {ONE}`" in todo


@pytest.mark.parametrize(
    ("bad", "says_limits"), [(1, False), (50, True)], ids=["one row", "above the limits too"]
)
def test_a_day_that_a_threshold_holds_names_the_threshold(
    logs: Runner, backend: Backend, bad: int, *, says_limits: bool
) -> None:
    logs.datasets = [dataset(thresholds={"known_level": "hold"})]
    backend.run("UPDATE logs SET level = 'odd' WHERE id < %s AND timestamp::date = %s", [bad, ONE])
    result = logs.run("logs", ONE)
    [seen] = [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.is_asset_observation
    ]
    shown = [e for e in result.get_asset_check_evaluations() if "action" in e.metadata]
    held_by = [e for e in shown if e.check_name in ("rejected_rows", "rejection_limits")]
    assert len(held_by) == 2
    for metadata in (seen.metadata, *(each.metadata for each in held_by)):
        text = str(metadata["action"].value)
        assert text.count("`thresholds`") == 1, text
        assert ("max_rejected_rows" in text) == says_limits, text


def test_every_check_has_an_action() -> None:
    different = ACTIONS.keys() ^ {**CHECKS, **PRIVACY_CHECKS}.keys()
    assert not different, f"ACTIONS in engine/actions.py does not fit CHECKS: {different}"


def test_a_range_counts_held_and_warned_days_apart(logs: Runner, backend: Backend) -> None:
    backend.run("UPDATE logs SET level = 'odd' WHERE timestamp::date = %s", [ONE])
    backend.run("UPDATE logs SET level = 'odd' WHERE id = 1001")
    result = logs.run("logs", ONE, TWO)
    assert "1 of 2 days of logs are not published: 1 held." in failure(result)
    [rejected] = [
        each.metadata
        for each in result.get_asset_check_evaluations()
        if each.partition is None and each.check_name == "rejected_rows"
    ]
    counts = ("days_judged", "days_failed", "days_held", "days_warned")
    assert [rejected[count].value for count in counts] == [2, 2, 1, 1]


def test_a_range_says_of_no_held_day_that_it_was_published(logs: Runner, backend: Backend) -> None:
    backend.run("UPDATE logs SET level = NULL WHERE timestamp::date = %s", [ONE])
    result = logs.run("logs", ONE, TWO)
    closing = [e for e in result.get_asset_check_evaluations() if e.partition is None]
    assert {e.check_name for e in closing if not e.passed} >= {"rejected_rows", "required_fields"}
    for evaluation in closing:
        assert "Published with a warning" not in (evaluation.description or "")
        if not evaluation.passed:
            assert f"Held: {ONE}." in (evaluation.description or "")
