"""References to docs/ become links in descriptions, checks and alerts."""

from __future__ import annotations

import pytest

from exporter_pipelines.docs_links import linked
from exporter_pipelines.notifications.message import Problem, alert
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.dagster_history import materializations
from exporter_pipelines_tests.support.datasets import dataset
from exporter_pipelines_tests.support.runs import Runner

ONE, TWO = "2026-11-01", "2026-11-02"
SERVICE = "https://exports.example.org/prefix"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EXPORTER_UI_URL", f"{SERVICE}/")
    return SERVICE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See docs/quality.md.", f"See {SERVICE}/docs/quality."),
        ("(docs/failures.md#a-day-is-held)", f"({SERVICE}/docs/failures#a-day-is-held)"),
        ("docs/decisions/0021-ledger.md", f"{SERVICE}/docs/decisions/0021-ledger"),
        (
            "https://www.postgresql.org/docs/current.md",
            "https://www.postgresql.org/docs/current.md",
        ),
        ("/srv/docs/quality.md", "/srv/docs/quality.md"),
    ],
)
def test_a_reference_becomes_an_address(service: str, text: str, expected: str) -> None:
    assert linked(text) == expected


def test_without_an_address_a_text_stays_as_it_is() -> None:
    assert linked("See docs/quality.md.") == "See docs/quality.md."


def test_descriptions_checks_and_days_link_to_the_docs(
    settings: dict[str, str], service: str, backend: Backend
) -> None:
    runner = Runner([dataset()])
    backend.add_logs(ONE, 100)
    backend.add_logs(TWO, 100, first_id=1000, level="odd")
    result = runner.run("logs", ONE, TWO)
    [node] = runner.definitions.resolve_asset_graph().asset_nodes
    assert f"{service}/docs/operations. " in (node.description or "")
    assert "docs/operations.md" not in (node.description or "")
    checks = [spec for d in runner.definitions.assets or () for spec in d.check_specs]  # type: ignore[union-attr]
    assert all(spec.description.endswith(f" See {service}/docs/quality") for spec in checks)
    held = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.partition == TWO and evaluation.check_name == "rejection_limits"
    ]
    assert f"{service}/docs/failures#a-day-is-held" in str(held[0].metadata["action"].value)
    [seen] = [
        event.event_specific_data
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION"
    ]
    see = seen.asset_observation.metadata["see"]
    assert see.url == f"{service}/docs/failures#a-day-is-held"
    [event] = materializations(runner.instance, "logs", ONE)
    assert event.metadata["download"].value == (
        f"{service}/api/v1/datasets/logs/days/{ONE}/files/logs-{ONE}.jsonl.gz"
    )


def test_alerts_link_to_the_docs(service: str) -> None:
    message = alert([Problem("day_held", "logs", [(ONE, "held")])], f"{service}/runs/1")
    assert f"({service}/docs/failures#a-day-is-held)" in message.body
