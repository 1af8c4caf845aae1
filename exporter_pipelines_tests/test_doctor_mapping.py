"""`exporter doctor` on tables and columns: what it proposes for other names exports a day."""

from __future__ import annotations

import time

import pytest
import yaml
from click.testing import CliRunner

from exporter_pipelines import cli
from exporter_pipelines.doctor.synonyms import SYNONYMS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rows
from exporter_pipelines_tests.support.doctor_runs import DAY, STRANGER, Doctor


def test_a_missing_table_is_answered_with_the_closest(doctor: Doctor, backend: Backend) -> None:
    backend.run("CREATE SCHEMA app; ALTER TABLE logs SET SCHEMA app; CREATE TABLE other (x int)")
    doctor.run()
    found = doctor.found("FAIL", "table")
    assert "logs does not exist" in found["message"]
    assert "(there are: app.logs, anomalies, ip_addresses, other)" in found["message"]
    assert "The most similar table is app.logs" in found["hint"]
    doctor.paste("logs", found)
    assert doctor.configured("logs")["table"] == "app.logs"
    doctor.run()
    assert doctor.found("ok", "table")


def test_a_table_that_may_not_be_read_is_named(
    doctor: Doctor, backend: Backend, reader: str
) -> None:
    backend.run(f"REVOKE SELECT ON logs FROM {reader}")
    doctor.run()
    assert "GRANT SELECT ON logs" in doctor.found("FAIL", "table")["hint"]


def test_a_missing_column_without_a_substitute_is_listed(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs DROP message")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert found["message"].startswith("logs has no message (there are: id, timestamp, level,")


def test_an_absent_optional_column_is_no_fault_and_has_no_personal_data(
    doctor: Doctor, backend: Backend
) -> None:
    doctor.run("--dataset", "logs")
    assert "device (by its name)" in doctor.found("ok", "personal data")["message"]
    backend.run("ALTER TABLE logs DROP device, DROP ip")
    doctor.run("--dataset", "logs", "--privacy")
    assert "exported as null: device, ip" in doctor.found("ok", "columns")["message"]
    personal = doctor.found("ok", "personal data")
    assert personal["message"].startswith("None found")
    assert "device: {action: pseudonym" in personal["hint"], "the table may get the column"


def test_a_strangers_backend_is_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.run(STRANGER)
    doctor.run()
    for name in ("logs", "anomalies", "ips"):
        doctor.paste(name, doctor.found("FAIL", "table", name))
    assert doctor.configured("logs")["columns"] == {
        "id": "event_uuid", "timestamp": "occurred_at", "level": "log_level", "message": "msg",
        "source": "program", "device": "hostname", "ip": "client_ip", "attributes": "extra",
    }  # fmt: skip
    assert doctor.configured("anomalies")["columns"] == {
        "id": "nr", "timestamp": "detected_at", "type": "kind", "score": "confidence",
        "severity": "sev", "ip": "src_ip", "details": "evidence",
    }  # fmt: skip
    assert doctor.configured("ips")["columns"] == {
        "address": "host_ip_addr", "first_seen": "first_seen_at", "last_seen": "last_seen_at",
        "risk_score": "reputation", "country": "cc", "labels": "tags",
    }  # fmt: skip
    doctor.run()
    assert doctor.code == 0, doctor.output
    for name in ("logs", "anomalies", "ips"):
        mapped = dataset(name, source=doctor.configured(name))
        assert export(backend.url, mapped, DAY, store).record_count == 1


OTHER_STRANGER = """
CREATE TABLE syslog_entries (entry_id bigserial PRIMARY KEY, logged_on timestamp, sev smallint,
    facility text, txt text, "machineName" text, origin_address text, structured jsonb,
    imported_on timestamptz);
CREATE TABLE alerts (alert_uuid uuid PRIMARY KEY, raised_at timestamptz, alert_type text,
    confidence_score numeric, prio text, state text, src_host inet, remarks text);
CREATE TABLE reputation (ip_addr inet PRIMARY KEY, first_observed timestamptz,
    last_observed timestamptz, risk int, country_iso char(2), tag_list text[]);
CREATE TABLE users (id bigserial PRIMARY KEY, name text, created_at timestamptz);
DROP TABLE logs, anomalies, ip_addresses;
"""


def test_names_of_several_words_and_telling_types_are_understood(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run(OTHER_STRANGER)
    doctor.run()
    proposed = {
        name: yaml.safe_load(doctor.found("FAIL", "table", name)["hint"].partition("\n")[2])
        for name in ("logs", "anomalies", "ips")
    }
    assert proposed == {
        "logs": {"table": "syslog_entries", "columns": {
            "id": "entry_id", "timestamp": "logged_on", "level": "sev", "message": "txt",
            "source": "facility", "device": "machineName", "ip": "origin_address",
            "attributes": "structured",
        }},
        "anomalies": {"table": "alerts", "columns": {
            "id": "alert_uuid", "timestamp": "raised_at", "type": "alert_type",
            "score": "confidence_score", "severity": "prio", "status": "state", "ip": "src_host",
        }},
        "ips": {"table": "reputation", "columns": {
            "address": "ip_addr", "first_seen": "first_observed", "last_seen": "last_observed",
            "risk_score": "risk", "country": "country_iso", "labels": "tag_list",
        }},
    }  # fmt: skip
    hint = doctor.found("FAIL", "table", "anomalies")["hint"]
    assert (
        "# details: no similar column; if you do not have it, write a value under `defaults:` "
        "(beside `source:`, not in it), or make it Optional in the schema" in hint
    )
    assert "# not used: remarks" in hint


def test_hundreds_of_tables_take_no_longer_each_than_dozens(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME TO log_records")
    columns = ", ".join(f"some_{word}_of_it text" for word in "abcdefghijklmnopqrstuvwxyz")

    def cpu_s_with(tables: range) -> float:
        backend.run("".join(
            f"CREATE TABLE t{n} (id int, at{n} timestamptz, x{n} text, {columns});" for n in tables
        ))  # fmt: skip
        began = time.process_time()
        done = CliRunner().invoke(cli.main, ["doctor", "--dataset", "logs"])
        assert "The most similar table is log_records" in done.output
        return time.process_time() - began

    cpu_s_with(range(1))  # what is imported once
    dozens = cpu_s_with(range(1, 40))
    assert cpu_s_with(range(40, 400)) < 15 * dozens


def test_renamed_columns_are_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.run('ALTER TABLE logs RENAME level TO "LogLevel"')
    backend.run("ALTER TABLE logs RENAME message TO body; ALTER TABLE logs RENAME timestamp TO ts")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert "logs has no timestamp, level, message" in found["message"]
    assert "level: LogLevel" in doctor.output
    doctor.paste("logs", found)
    doctor.run()
    assert doctor.found("ok", "columns")
    mapped = dataset(source=doctor.configured("logs"))
    (first, *_) = rows(store, export(backend.url, mapped, DAY, store))
    assert (first["level"], first["message"]) == ("INFO", "hello")


@pytest.mark.parametrize("name", ["logs", "anomalies", "ips"])
def test_every_synonym_of_a_shipped_column_is_proposed(
    doctor: Doctor, backend: Backend, name: str
) -> None:
    table = doctor.configured(name)["table"]
    column = {"logs": "level", "anomalies": "score", "ips": "risk_score"}[name]
    old = column
    for synonym in SYNONYMS[column]:
        backend.run(f'ALTER TABLE {table} RENAME "{old}" TO "{synonym}"')
        old = synonym
        if synonym in {"severity", "value"} or synonym in SYNONYMS:
            continue
        done = CliRunner().invoke(cli.main, ["doctor", "--dataset", name])
        assert f"      {column}: {synonym}\n" in done.output, done.output


def test_a_mapping_to_a_column_that_is_gone_is_corrected(doctor: Doctor, backend: Backend) -> None:
    doctor.edit("logs", "columns: {}", "columns: {device: node, level: log_lvl}")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert "log_lvl (exported as level), node (exported as device)" in found["message"]
    doctor.paste("logs", found)
    assert doctor.configured("logs")["columns"] == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER timestamp TYPE bool USING true", "timestamp is bool, but timestamp of"),
        ("ALTER timestamp TYPE bool USING true", "needs timestamptz, timestamp or date"),
    ],
)
def test_a_wrong_type_is_named_with_what_is_needed(
    doctor: Doctor, backend: Backend, change: str, said: str
) -> None:
    backend.run(f"ALTER TABLE logs {change}")
    doctor.run()
    assert said in doctor.found("FAIL", "types")["message"]
