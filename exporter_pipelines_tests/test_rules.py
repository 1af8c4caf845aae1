"""Custom rules, in Python and in SQL, and thresholds per rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.errors import (
    ConfigurationError,
    DayHeldError,
    RuleCrashedError,
    UnknownNameError,
)
from exporter_pipelines.orchestration.exports.metadata import table_schema
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, outcome_of, rejected, rows
from exporter_pipelines_tests.support.doc_examples import example, indented
from exporter_pipelines_tests.support.projects import ROOT, Project

DAY = "2026-11-01"
OWN = "exporter_pipelines_tests.support.custom_rules"
LOOSE = {"max_rejected_pct": 100.0}


def logs_with(*rules: dict[str, Any], **changes: Any) -> Dataset:
    return dataset(rules=list(rules), **{**LOOSE, **changes})


def function(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "function": f"{OWN}.{name}", **settings}


def failed(manifest: Manifest) -> dict[tuple[str, str | None], int]:
    return {(rule.rule, rule.column): rule.failed for rule in manifest.validation.rules}


def reasons(store: LocalStore, manifest: Manifest) -> dict[int, list[tuple[str, Any, Any]]]:
    return {
        row["id"]: [(r["rule"], r["column"], r["value"]) for r in row["rejections"]]
        for row in rejected(store, manifest)
    }


@pytest.fixture
def day(backend: Backend) -> Backend:
    """Ten valid rows, each with its number as message and a device of its own."""
    backend.add_logs(DAY, 10)
    backend.run("UPDATE logs SET message = 'message ' || id, device = 'edge-' || id")
    return backend


# Functions


def test_a_rule_over_one_column_with_a_parameter(day: Backend, store: LocalStore) -> None:
    day.run("UPDATE logs SET message = repeat('x', 13) WHERE id = 4")
    own = logs_with(function("short_enough", columns=["message"], params={"limit": 12}))
    manifest = export(day.url, own, DAY, store)
    assert failed(manifest)["short_enough", "message"] == 1
    assert reasons(store, manifest) == {4: [("short_enough", "message", "x" * 13)]}


def test_a_rule_over_two_columns_and_a_null_passes(day: Backend, store: LocalStore) -> None:
    day.run("UPDATE logs SET source = device")
    day.run("UPDATE logs SET source = 'other' WHERE id = 2; UPDATE logs SET device = NULL "
            "WHERE id = 3")  # fmt: skip
    own = logs_with(function("device_named_in_source", columns=["device", "source"]))
    manifest = export(day.url, own, DAY, store)
    assert reasons(store, manifest) == {2: [("device_named_in_source", None, None)]}
    assert failed(manifest)["device_named_in_source", None] == 1


def test_a_rule_over_the_rows_of_a_batch(day: Backend, store: LocalStore) -> None:
    day.run("UPDATE logs SET message = 'same', device = 'one' WHERE id IN (2, 5, 9)")
    manifest = export(day.url, logs_with(function("not_repeated")), DAY, store)
    assert [row["id"] for row in rejected(store, manifest)] == [5, 9]


def test_a_rule_that_nothing_broke_is_listed_and_shown(day: Backend, store: LocalStore) -> None:
    own = logs_with(
        function("short_enough", columns=["message"]), {"name": "positive", "sql": "id > 0"}
    )
    manifest = export(day.url, own, DAY, store)
    assert failed(manifest)["short_enough", "message"] == failed(manifest)["positive", None] == 0
    shown = table_schema(own)
    [message] = [column for column in shown.columns if column.name == "message"]
    assert message.constraints.other == ["short_enough"]
    assert shown.constraints.other == ["positive"]
    assert manifest.export_config["rules"][1]["sql"] == "id > 0"


def test_text_that_is_no_json_is_rejected_as_on_the_page(day: Backend, store: LocalStore) -> None:
    day.run("ALTER TABLE logs ADD note text; UPDATE logs SET note = '{a: 1}' WHERE id = 2; "
            """UPDATE logs SET note = '{"a": 1}' WHERE id = 3""")  # fmt: skip
    [rule] = yaml.safe_load(example("json-rule.yaml"))["rules"]
    manifest = export(day.url, logs_with(rule), DAY, store)
    assert reasons(store, manifest) == {2: [("note_is_json", None, None)]}


def test_basic_validation_applies_none_of_them(day: Backend, store: LocalStore) -> None:
    own = logs_with(
        function("raising"), {"name": "never", "sql": "false"}, validation="basic", transforms=[]
    )
    manifest = export(day.url, own, DAY, store)
    assert manifest.record_count == 10
    assert {rule for rule, _ in failed(manifest)} == {"required"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (function("raising"), "'raising' on whole rows raised an exception"),
        (function("one_verdict"), "'one_verdict' on whole rows returned one result"),
        (function("texts", columns=["message"]), "'texts' on message returned one result"),
        (function("fewer", columns=["message"]), "'fewer' on message returned one result"),
    ],
)
def test_a_rule_that_does_not_judge_row_by_row_is_named(
    day: Backend, store: LocalStore, rule: dict[str, Any], said: str
) -> None:
    with pytest.raises(RuleCrashedError, match=said) as crashed:
        export(day.url, logs_with(rule), DAY, store)
    assert "message 1" not in str(crashed.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "x", "function": "nowhere.rule"}, "'nowhere.rule' cannot be imported"),
        ({"name": "x", "function": f"{OWN}.nothing"}, "has no attribute 'nothing'"),
        ({"name": "x", "function": f"{OWN}.NOT_A_FUNCTION"}, "is not callable"),
        (function("short_enough"), None),
        (function("short_enough", columns=["message"], params={"most": 3}), "unexpected keyword"),
        (function("short_enough", columns=["message", "ip", "level"]), "too many positional"),
        (function("short_enough", columns=["text"]), r"'text' does not exist \(there are: id,"),
        ({"name": "known_level", "sql": "true"}, "rule 'known_level' exists already"),
        ({"name": "value_too_large", "sql": "true"}, "exists already"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_at_load(
    rule: dict[str, Any], said: str | None
) -> None:
    if said is None:
        assert logs_with(rule)
        return
    with pytest.raises(ConfigurationError, match=said):
        logs_with(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "x"},
        {"name": "x", "sql": "true", "function": f"{OWN}.raising"},
        {"name": "x", "sql": "true", "columns": ["id"]},
        {"name": "no spaces", "sql": "true"},
    ],
)
def test_a_rule_is_a_function_or_an_expression(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule"):
        logs_with(rule)


# SQL


def test_an_sql_rule_judges_the_rows_of_the_table(day: Backend, store: LocalStore) -> None:
    day.run("ALTER TABLE logs ADD took_ms int; UPDATE logs SET took_ms = id - 3")
    day.run("UPDATE logs SET took_ms = NULL WHERE id = 1")
    own = logs_with({"name": "took_time", "sql": "took_ms >= 0 -- since the last restart"})
    manifest = export(day.url, own, DAY, store)
    assert reasons(store, manifest) == {2: [("took_time", None, None)]}
    assert failed(manifest)["took_time", None] == 1
    assert "took_ms" not in rows(store, manifest)[0]


@pytest.mark.parametrize("batch_rows", [3, 50_000])
def test_an_sql_rule_sees_the_whole_day_and_no_other(
    day: Backend, store: LocalStore, batch_rows: int
) -> None:
    day.run("UPDATE logs SET ip = '10.0.0.' || id WHERE id > 4")
    day.add_logs("2026-11-02", 20, first_id=100, ip="10.0.0.7")
    own = logs_with({"name": "talkative", "sql": "count(*) OVER (PARTITION BY ip) <= 3"})
    manifest = export(day.url, own, DAY, store, batch_rows=batch_rows)
    assert [row["id"] for row in rejected(store, manifest)] == [1, 2, 3, 4]


def test_an_sql_rule_over_a_query_sees_its_columns(day: Backend, store: LocalStore) -> None:
    query = {"table": None, "query": "SELECT *, id * 2 AS twice FROM logs -- doubled"}
    own = logs_with({"name": "small", "sql": "twice < 19"}, source=query)
    manifest = export(day.url, own, DAY, store)
    assert [row["id"] for row in rejected(store, manifest)] == [10]


def test_an_sql_rule_hides_no_other_reason(day: Backend, store: LocalStore) -> None:
    day.run("UPDATE logs SET level = 'odd' WHERE id = 2")
    day.run("UPDATE logs SET message = NULL, device = 'edge-1' WHERE id <= 2")
    own = logs_with(
        {"name": "no_two", "sql": "id <> 2 AND '%s {} 100%' <> level"}, function("not_repeated")
    )
    manifest = export(day.url, own, DAY, store)
    assert set(reasons(store, manifest)[2]) == {
        ("no_two", None, None),
        ("known_level", "level", "odd"),
        ("required", "message", None),
        ("not_repeated", None, None),
    }


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("took_ms > 0", r"'x' of logs is refused: .*took_ms"),
        ("id +", "'x' of logs is refused: .*syntax"),
        ("id + 1", "'x' of logs returns int8 instead of bool"),
        ("count(*) < 5", "'x' of logs is refused: .*GROUP BY"),
    ],
)
def test_an_sql_rule_that_the_database_refuses_is_named(
    day: Backend, store: LocalStore, sql: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        export(day.url, logs_with({"name": "x", "sql": sql}), DAY, store)


# Thresholds


def test_rows_that_break_only_tolerated_rules_never_hold_a_day(
    day: Backend, store: LocalStore
) -> None:
    day.run("UPDATE logs SET level = 'odd' WHERE id <= 9")
    strict = {"max_rejected_rows": 0, "max_rejected_pct": 0.0}
    with pytest.raises(DayHeldError):
        export(day.url, dataset(**strict), DAY, store)
    tolerant = dataset(thresholds={"known_level": "warn"}, **strict)
    manifest = export(day.url, tolerant, DAY, store)
    assert (manifest.counts.exported, manifest.counts.rejected) == (1, 9)
    day.run("UPDATE logs SET ip = 'host' WHERE id = 3")
    with pytest.raises(DayHeldError, match="more than max_rejected_rows=0"):
        export(day.url, tolerant, DAY, store)


def test_one_row_that_breaks_a_holding_rule_holds_the_day(day: Backend, store: LocalStore) -> None:
    holding = dataset(thresholds={"valid_address": "hold", "known_level": "hold"}, **LOOSE)
    assert export(day.url, holding, DAY, store).record_count == 10
    day.run("UPDATE logs SET ip = 'host' WHERE id = 3")
    with pytest.raises(DayHeldError, match="single row that breaks valid_address holds") as held:
        export(day.url, holding, DAY, store)
    verdicts = outcome_of(day.url, holding, DAY, store).verdicts
    assert [v.check for v in verdicts if v.holds] == [
        "rejected_rows",
        "rejection_limits",
    ]
    assert held.value.quarantine


def test_an_ignored_rule_is_neither_applied_nor_listed(day: Backend, store: LocalStore) -> None:
    day.run("UPDATE logs SET level = 'odd' WHERE id = 3")
    ignoring = {"known_level": "ignore", "raising": "ignore", "never": "ignore"}
    own = logs_with(function("raising"), {"name": "never", "sql": "false"}, thresholds=ignoring)
    manifest = export(day.url, own, DAY, store)
    assert manifest.record_count == 10
    assert {rule for rule, _ in failed(manifest)} == {"required", "valid_address"}


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        (
            {"known_levels": "warn"},
            "rule 'known_levels' does not exist .*known_level, mine, .*valid_",
        ),
        ({"required": "ignore"}, "'required' cannot be ignored"),
        ({"value_too_large": "ignore"}, "'value_too_large' cannot be ignored"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(thresholds: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        logs_with({"name": "mine", "sql": "true"}, thresholds=thresholds)


def test_thresholds_of_the_source_and_of_own_rules_are_known() -> None:
    names = dict.fromkeys(("required", *SOURCE_RULES, "mine", "valid_address"), "warn")
    assert logs_with({"name": "mine", "sql": "true"}, thresholds=names)
    with pytest.raises(UnknownNameError):
        logs_with(thresholds={"mine": "warn"})


def test_every_rule_of_a_source_is_listed() -> None:
    endings = "range|large|text|time|integer|number|boolean|json"
    beginnings = "number_|timestamp_|value_|undecodable_|unreadable_|invalid_|not_an?_"
    rule = re.compile(rf'"((?:{beginnings})\w*(?:{endings}))"')
    named: set[str] = set()
    for file in (ROOT / "exporter_pipelines" / "sources").rglob("*.py"):
        named |= set(rule.findall(file.read_text()))
    assert named == set(SOURCE_RULES)


# The page


def test_the_example_of_the_page_works_as_written(
    project: Project, backend: Backend, tmp_path: Path
) -> None:
    (project.path / "exporter_pipelines/defs/logs/rules.py").write_text(example("rules.py"))
    project.edit(
        "logs", "  validation: strict", indented(example("rules.yaml")) + "  validation: strict"
    )
    backend.add_logs(DAY, 2000)
    backend.run("UPDATE logs SET ip = '10.0.' || id % 250 || '.1' WHERE id > 100")
    backend.run("UPDATE logs SET message = repeat('x', 201) WHERE id IN (5, 6)")
    done = project.materialize("logs", partition=DAY)
    assert done.code == 0, done.stderr
    manifest = project.manifest("logs", DAY)
    assert manifest
    counts = failed(manifest)
    assert (counts["message_length", "message"], counts["not_flooding", None]) == (2, 0)
    assert counts["ip_where_device", None] == 0
    backend.run("UPDATE logs SET ip = NULL WHERE id = 7")
    held = project.materialize("logs", partition=DAY)
    assert "A single row that breaks ip_where_device holds the day." in held.last_words
