"""The doctor reads rows, predicts held days, and proposes settings that publish them."""

from __future__ import annotations

import pytest
import yaml

from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.doctor import rows
from exporter_pipelines.engine import forecast
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import outcome_of
from exporter_pipelines_tests.support.doctor_runs import DAY, Doctor

DAYS = [f"2026-11-{day:02}" for day in range(2, 6)]


def accept(doctor: Doctor, name: str, hint: str) -> None:
    """Do what a finding says: put its block below `attributes:`, in place of what is there."""
    file = doctor.defs / name / "defs.yaml"
    document = yaml.safe_load(file.read_text())
    document["attributes"].update(yaml.safe_load(hint.partition("\n")[2]))
    file.write_text(yaml.safe_dump(document))


def held_days(backend: Backend, store: LocalStore, name: str = "logs") -> list[str]:
    dataset = dataset_named(name)
    days = [DAY, *DAYS]
    return [d for d in days if not outcome_of(backend.url, dataset, d, store).manifest]


def test_days_that_would_be_held_are_predicted_and_the_block_publishes_them(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 100, first_id=1000 * (number + 1))
    backend.run("UPDATE logs SET level = NULL WHERE id % 1000 < 40 AND id BETWEEN 1000 AND 3999")
    backend.run("UPDATE logs SET message = NULL WHERE id = 4000")
    doctor.run("--dataset", "logs")
    found = [f for f in doctor.said if f["check"] == "rows"]
    assert [(f["level"], f["message"]) for f in found] == [
        ("FAIL", "120 of 403 rows have no level: 3 days would be held"),
        ("warn", "1 of 403 rows have no message and would be rejected, but hold no day"),
    ]
    assert doctor.code == 1
    assert doctor.output.splitlines()[-1].endswith("Read: all 403 rows of logs.")
    assert held_days(backend, store) == DAYS[:3]
    accept(doctor, "logs", found[0]["hint"])
    doctor.run("--dataset", "logs")
    assert doctor.found("warn", "rows")["message"] == found[1]["message"]
    assert held_days(backend, store) == []
    backend.run("UPDATE logs SET message = 'text' WHERE id = 4000")
    doctor.run("--dataset", "logs")
    assert doctor.found("ok", "rows")["message"] == (
        "Every day would be published: all 403 rows on 5 days were read"
    )


def test_a_cause_that_is_too_small_to_hold_a_day_gets_no_setting(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate(DAYS[:2]):
        backend.add_logs(day, 100, first_id=1000 * (number + 1))
    backend.run("UPDATE logs SET level = 'odd' WHERE id % 1000 < 40 AND id >= 1000")
    backend.run("UPDATE logs SET ip = 'host' WHERE id % 1000 IN (38, 41, 42)")
    backend.run("UPDATE logs SET message = NULL WHERE id % 1000 = 50")
    backend.run("UPDATE logs SET attributes = '[1e400]' WHERE id % 1000 = 51")
    doctor.run("--dataset", "logs")
    found = [f for f in doctor.said if f["check"] == "rows"]
    assert {f["message"].partition(" 203 rows ")[2]: f["level"] for f in found} == {
        "break the rule known_level of level: 2 days would be held": "FAIL",
        "break the rule valid_address of ip and would be rejected, but hold no day": "warn",
        "have no message and would be rejected, but hold no day": "warn",
        "break the rule invalid_json of attributes and would be rejected, but hold no day": "warn",
    }
    block = found[0]["hint"]
    assert yaml.safe_load(block.partition("\n")[2]).keys() == {"transforms"}
    assert {f["hint"] for f in found[1:]} == {
        "Such a row goes to the quarantine, the others of its day are published: "
        "docs/quality.md#the-quarantine"
    }
    assert held_days(backend, store) == DAYS[:2]
    accept(doctor, "logs", block)
    assert held_days(backend, store) == []


def test_a_rule_gets_only_the_days_that_it_would_hold_itself(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate(DAYS[:2]):
        backend.add_logs(day, 100, first_id=1000 * (number + 1))
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (1001, 2001)")
    backend.run("UPDATE logs SET message = NULL WHERE id IN (1002, 2002)")
    backend.run("UPDATE logs SET ip = 'host' WHERE id BETWEEN 1003 AND 1005")
    backend.run("UPDATE logs SET ip = 'host' WHERE id BETWEEN 2003 AND 2030")
    doctor.edit("logs", "  format: jsonl", "  thresholds: {known_level: hold}\n  format: jsonl")
    doctor.run("--dataset", "logs")
    said = {f["message"].partition(" 203 rows ")[2]: f for f in doctor.said if f["check"] == "rows"}
    assert {message: f["level"] for message, f in said.items()} == {
        "break the rule valid_address of ip: 1 day would be held": "FAIL",
        "break the rule known_level of level: 2 days would be held": "FAIL",
        "have no message and would be rejected, but hold no day": "warn",
    }
    block = said["break the rule valid_address of ip: 1 day would be held"]["hint"]
    assert "# rows that break valid_address are still rejected, but hold no day; ignore" in block
    backend.run("UPDATE logs SET ip = NULL WHERE id >= 2003")
    doctor.run("--dataset", "logs")
    found = [f for f in doctor.said if f["check"] == "rows"]
    assert {f["message"].partition(" 203 rows ")[2]: f["level"] for f in found} == {
        "break the rule valid_address of ip and would be rejected, but hold no day": "warn",
        "break the rule known_level of level: 2 days would be held": "FAIL",
        "have no message and would be rejected, but hold no day": "warn",
    }
    [hint] = [f["hint"] for f in found if f["level"] == "FAIL"]
    assert yaml.safe_load(hint.partition("\n")[2]).keys() == {"transforms"}
    assert held_days(backend, store) == DAYS[:2]
    accept(doctor, "logs", hint)
    assert held_days(backend, store) == []


def test_each_kind_of_rejection_has_its_remedy(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAYS[0], 90, first_id=100)
    backend.run("UPDATE logs SET level = 'odd' WHERE id < 130")
    backend.run("UPDATE logs SET ip = 'host' WHERE id > 160")
    backend.run("UPDATE logs SET attributes = '[1e400]' WHERE id BETWEEN 140 AND 150")
    backend.run(
        "INSERT INTO ip_addresses SELECT n, ('10.1.0.' || n)::inet, '2026-11-02Z', '2026-11-02Z' "
        "FROM generate_series(2, 51) n"
    )
    doctor.run()
    (logs, *_), [ips] = (
        [f for f in doctor.said if (f["check"], f["dataset"]) == ("rows", name)]
        for name in ("logs", "ips")
    )
    block = yaml.safe_load(logs["hint"].partition("\n")[2])
    aliases = {"name": "level_aliases", "params": {"default": "INFO"}}
    assert block == {
        "transforms": [aliases], "thresholds": {"valid_address": "warn"}, "unreadable_json": "text",
    }  # fmt: skip
    assert yaml.safe_load(ips["hint"].partition("\n")[2]) == {"nullable": ["risk_score"]}
    accept(doctor, "logs", logs["hint"])
    accept(doctor, "ips", ips["hint"])
    doctor.run()
    assert {f["level"] for f in doctor.said if f["check"] == "rows"} == {"ok"}
    assert held_days(backend, store) == held_days(backend, store, "ips") == []


def test_a_preset_is_read_if_it_judges_otherwise(doctor: Doctor, backend: Backend) -> None:
    backend.add_logs(DAYS[0], 100, first_id=100)
    backend.run("UPDATE logs SET level = NULL WHERE id BETWEEN 100 AND 105")
    doctor.edit("logs_light", "like: logs\n", "like: logs\n  max_rejected_rows: 3\n")
    doctor.run()
    found = {f["dataset"]: f["level"] for f in doctor.said if f["check"] == "rows"}
    assert found == {"anomalies": "ok", "ips": "ok", "logs": "warn", "logs_light": "FAIL"}
    has_level = "{name: has_level, column: level, op: not_null}"
    doctor.edit("logs", "  format: jsonl", f"  filters: [{has_level}]\n  format: jsonl")
    doctor.edit("logs_light", "max_rejected_rows: 3\n", "filters: []\n")
    doctor.run()
    found = {f["dataset"]: f["level"] for f in doctor.said if f["check"] == "rows"}
    del found["logs_errors"]  # has other filters now
    assert found == {"anomalies": "ok", "ips": "ok", "logs": "ok", "logs_light": "warn"}


def slow_logs(backend: Backend) -> None:
    """203 rows on five days, each of which takes 20 ms."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 50, first_id=1000 * (number + 1))
    backend.run("""
        CREATE FUNCTION slowly(value text) RETURNS text LANGUAGE plpgsql STABLE AS
        $$BEGIN PERFORM pg_sleep(0.02); RETURN value; END$$;
        ALTER TABLE logs RENAME TO stored;
        CREATE VIEW logs AS
        SELECT id, timestamp, level, slowly(message) AS message, source FROM stored
    """)


def test_a_sample_says_so(
    doctor: Doctor, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_logs(backend)
    monkeypatch.setattr(forecast, "CHUNK_ROWS", 50)
    doctor.run("--dataset", "logs", "--seconds", "2")
    message = doctor.found("ok", "rows")["message"]
    assert message.startswith("No row would be rejected: a sample of ")
    assert " of 203 rows on " in message


def test_days_are_read_one_by_one_if_counting_their_rows_takes_too_long(
    doctor: Doctor, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_logs(backend)
    monkeypatch.setattr(forecast, "_COUNTING_SHARE", 0)
    doctor.run("--dataset", "logs", "--seconds", "2")
    message = doctor.found("ok", "rows")["message"]
    assert message.startswith("No row would be rejected: a sample of "), "not: no row was read"


def test_an_index_is_asked_for_only_if_there_is_none(
    doctor: Doctor, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "forecast", lambda *_: forecast.Forecast())
    doctor.run("--dataset", "logs")
    assert doctor.found("warn", "rows")["hint"].startswith("`exporter doctor --seconds 60`")
    backend.run("DROP INDEX logs_timestamp_idx")
    doctor.run("--dataset", "logs")
    assert doctor.found("warn", "rows")["hint"].startswith("Create an index, or: ")


def test_days_outside_the_settings_are_read_if_no_others_have_rows(
    doctor: Doctor, backend: Backend
) -> None:
    doctor.set(EXPORTER_START_DATE="2026-11-08")
    doctor.run("--dataset", "logs")
    assert "all 3 rows on 1 day" in doctor.found("ok", "rows")["message"]


def test_no_rows_are_read_on_request(doctor: Doctor) -> None:
    doctor.run("--seconds", "0")
    assert not [f for f in doctor.said if f["check"] == "rows"]
    assert doctor.output.endswith("Read: no rows.\n")


def test_a_rule_that_crashes_is_a_fail(doctor: Doctor) -> None:
    doctor.edit(
        "logs", "  format: jsonl",
        "  rules: [{name: crash, function: exporter_pipelines_tests.support.custom_rules.raising}]"
        "\n  format: jsonl",
    )  # fmt: skip
    doctor.run("--dataset", "logs")
    assert "No day can be exported" in doctor.found("FAIL", "rows")["message"]


def test_a_day_with_unreadable_times_is_predicted(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAYS[0], 5, first_id=100)
    backend.run("ALTER TABLE logs ALTER timestamp TYPE text")
    backend.run(f"UPDATE logs SET timestamp = '{DAYS[1]} at noon' WHERE id = 100")
    doctor.run("--dataset", "logs")
    found = doctor.found("FAIL", "rows")
    assert "The time of 1 row begins with the date of a day, but cannot be read" in found["message"]
    assert found["message"].endswith(": 1 day would be held")
    assert held_days(backend, store) == [DAYS[1]]
