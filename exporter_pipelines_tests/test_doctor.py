"""`exporter doctor` names what is amiss and what to do, changes nothing, and shows no secret."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from exporter_pipelines import catalog, cli
from exporter_pipelines.contracts.dataset import DatasetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.doctor.synonyms import SYNONYMS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.backends import Backend
from exporter_pipelines_tests.datasets import DEFS, dataset, export, rows
from exporter_pipelines_tests.projects import BIN, ROOT, Project

DAY = "2026-11-01"
SECRET = "hunter2secret"
KEYS = ["level", "dataset", "check", "message", "hint"]
INDEXES = """
CREATE INDEX ON logs (timestamp); CREATE INDEX ON anomalies (timestamp);
CREATE INDEX ON ip_addresses (last_seen)
"""


@dataclass
class Doctor:
    """The command in this process, over a copy of the defs that a test may edit."""

    defs: Path
    monkeypatch: pytest.MonkeyPatch
    arguments: tuple[str, ...] = ()
    code: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *arguments: str) -> Doctor:
        """Run it and keep its findings."""
        done = CliRunner().invoke(cli.main, ["doctor", "--json", *arguments])
        assert SECRET not in done.output
        self.arguments, self.code, self.said = arguments, done.exit_code, json.loads(done.output)
        assert all(list(f) == KEYS for f in self.said)
        return self

    @property
    def output(self) -> str:
        """The same for people."""
        return CliRunner().invoke(cli.main, ["doctor", *self.arguments]).output

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a defs.yaml."""
        file = self.defs / name / "defs.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def set(self, **values: str) -> None:
        """Change the environment."""
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)

    def found(self, level: str, check: str, name: str | None = "logs") -> dict[str, Any]:
        """The only finding of a check."""
        found = [f for f in self.said if (f["check"], f["dataset"]) == (check, name)]
        assert [f["level"] for f in found] == [level], self.output
        return found[0]


@pytest.fixture
def doctor(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> Doctor:
    """A backend with the three tables, indexes and rows, looked at from a new folder."""
    backend.run(INDEXES)
    backend.add_logs(DAY, 3)
    backend.run(
        "INSERT INTO anomalies (id, timestamp, type, score, details) "
        "VALUES (1, '2026-11-01T01:00Z', 'spike', 0.5, '{}')"
    )
    backend.run(
        "INSERT INTO ip_addresses (id, address, first_seen, last_seen, risk_score) "
        "VALUES (1, '10.0.0.1', '2026-11-01T01:00Z', '2026-11-01T01:00Z', 5)"
    )
    home = tmp_path / "home"
    (home / ".dagster" / "storage" / "history").mkdir(parents=True)
    shutil.copy(ROOT / "dagster.yaml", home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    defs = tmp_path / "defs"
    shutil.copytree(DEFS, defs, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(catalog, "DEFS", defs)
    return Doctor(defs, monkeypatch)


@pytest.fixture
def reader(backend: Backend, doctor: Doctor) -> Iterator[str]:
    """A role that may only read, which the doctor then uses."""
    role = f"reader_{backend.url.split('/')[3].split('?')[0]}"
    backend.run(
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON logs, anomalies, ip_addresses TO {role}"
    )
    doctor.set(EXPORTER_SOURCE_URL=backend.url.replace("postgres@", f"{role}@", 1))
    yield role
    backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


# All well


def test_all_well_is_only_ok_and_0(doctor: Doctor, reader: str) -> None:
    doctor.run()
    assert {f["level"] for f in doctor.said} == {"ok"}, doctor.output
    assert doctor.code == 0
    assert doctor.output.endswith(f"\n0 FAIL, 0 warn, {len(doctor.said)} ok\n")
    assert re.search(
        r"^ok    logs          connection          PostgreSQL [\d.]+ at .*:5432, "
        rf"database test_\w+, role {reader}\.$",
        doctor.output,
        re.MULTILINE,
    )
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"


def test_people_and_programs_are_told_the_same(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME level TO log_level; DROP TABLE anomalies")
    doctor.run()
    shown = CliRunner().invoke(cli.main, ["doctor"])
    assert shown.exit_code == doctor.code == 1
    for finding in doctor.said:
        if finding["check"] != "disk":  # which changes all the time
            said = f"{finding['check']:<18}  {finding['message'].rstrip('.')}. {finding['hint']}"
            assert f"  {said.rstrip()}\n" in shown.output


def test_one_dataset_is_looked_at_alone(doctor: Doctor) -> None:
    doctor.run("--dataset", "ips")
    assert {f["dataset"] for f in doctor.said} == {None, "ips"}


def test_it_changes_nothing(doctor: Doctor, tmp_path: Path, backend: Backend) -> None:
    statement = "SELECT count(*) FROM pg_class"
    before = sorted(tmp_path.rglob("*")), backend.run(statement)
    doctor.run()
    assert (sorted(tmp_path.rglob("*")), backend.run(statement)) == before


# Usage


@pytest.mark.parametrize("arguments", [["--dataset", "lgos"], ["--nonsense"], ["extra"]])
def test_wrong_usage_is_2(doctor: Doctor, arguments: list[str]) -> None:
    done = CliRunner().invoke(cli.main, ["doctor", *arguments])
    assert done.exit_code == 2


def test_an_unknown_dataset_is_answered_with_the_known(doctor: Doctor) -> None:
    done = CliRunner().invoke(cli.main, ["doctor", "--dataset", "lgos"])
    assert "There is no dataset 'lgos' (there are: anomalies, ips, logs" in done.output


# The project


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"EXPORTER_START_DATE": "soon"}, "EXPORTER_START_DATE='soon' is not a date"),
        ({"EXPORTER_START_DATE": "2999-01-01", "EXPORTER_END_DATE": ""}, "lies in the future"),
        ({"EXPORTER_END_DATE": "2026-10-01"}, "is not after EXPORTER_START_DATE 2026-11-01"),
        ({"EXPORTER_TIMEZONE": "Mars"}, "'Mars' is not an IANA time zone"),
    ],
)
def test_a_setting_that_cannot_be_is_a_fail(
    doctor: Doctor, values: dict[str, str], said: str
) -> None:
    doctor.set(**values)
    doctor.run()
    assert doctor.code == 1
    assert any(
        said in f["message"]
        for f in doctor.said
        if (f["level"], f["check"]) == ("FAIL", "settings")
    )


@pytest.mark.parametrize("output", ["{file}", "{file}/below", "s3://bucket/x"])
def test_an_output_that_cannot_be_written_is_a_fail(
    doctor: Doctor, tmp_path: Path, output: str
) -> None:
    (tmp_path / "file").touch()
    doctor.set(EXPORTER_OUTPUT_URL=output.format(file=tmp_path / "file"))
    doctor.run()
    found = doctor.found("FAIL", "output", None)
    assert "EXPORTER_OUTPUT_URL" in found["message"] + found["hint"]
    assert doctor.code == 1


def test_a_folder_without_permission_is_a_fail(doctor: Doctor, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("this user may write everywhere")
    (tmp_path / "exports").mkdir(mode=0o555)
    doctor.run()
    assert "cannot be written by this user" in doctor.found("FAIL", "output", None)["message"]


def test_leftovers_of_the_dead_are_told_from_the_work_of_the_living(
    doctor: Doctor, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "exports")
    living = store.begin("logs", DAY)
    try:
        doctor.run()
        assert not [f for f in doctor.said if f["check"] == "leftovers"]
        (living.folder.parent / "date=2026-11-02.0123.lock").touch()
        doctor.run()
    finally:
        living.discard()
    assert "date=2026-11-02.0123" in doctor.found("warn", "leftovers")["message"]
    assert doctor.code == 0


@pytest.mark.parametrize(
    ("home", "level", "said"),
    [
        ("relative", "FAIL", "is not an absolute path"),
        ("/nowhere/at/all", "FAIL", "does not exist"),
        ("/", "warn", "/dagster.yaml does not exist"),
    ],
)
def test_dagster_home_is_looked_at(doctor: Doctor, home: str, level: str, said: str) -> None:
    doctor.set(DAGSTER_HOME=home)
    doctor.run()
    assert said in doctor.found(level, "dagster", None)["message"]


def test_a_storage_that_is_not_initialised_is_named(doctor: Doctor) -> None:
    shutil.rmtree(Path(".dagster/storage").absolute())
    doctor.run()
    assert "make setup" in doctor.found("warn", "dagster", None)["hint"]


def test_no_dagster_home_is_a_warning(doctor: Doctor) -> None:
    doctor.monkeypatch.delenv("DAGSTER_HOME")
    doctor.run()
    said = [f for f in doctor.said if f["check"] == "dagster"]
    assert [f["level"] for f in said] == ["warn", "ok"]


# Connection


def test_a_missing_variable_is_named(doctor: Doctor) -> None:
    doctor.monkeypatch.delenv("EXPORTER_SOURCE_URL")
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert found["message"] == "The environment variable EXPORTER_SOURCE_URL is not set."
    assert doctor.code == 1


def test_each_dataset_may_have_its_own_database(doctor: Doctor) -> None:
    doctor.edit("ips", "url: EXPORTER_SOURCE_URL", "url: OTHER_URL")
    doctor.run()
    assert "OTHER_URL" in doctor.found("FAIL", "connection", "ips")["message"]
    assert doctor.found("ok", "connection", "logs")


def test_an_unreachable_host_is_named_without_the_password(doctor: Doctor) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"postgresql://ann:{SECRET}@127.0.0.1:1/db")
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert "at 127.0.0.1:1, database db, user ann" in found["message"]
    assert "Check that the server runs" in found["hint"]


def test_a_malformed_url_is_not_shown(doctor: Doctor) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"mysql://ann:{SECRET}@db/x")
    doctor.run()
    assert "EXPORTER_SOURCE_URL" in doctor.found("FAIL", "connection")["message"]


@pytest.fixture
def guarded_role(backend: Backend) -> Iterator[str]:
    """A role of the embedded server that must give a password."""
    if os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        pytest.skip("changes pg_hba.conf, which only the embedded server is ours to change")
    role = f"guarded_{backend.url.split('/')[3].split('?')[0]}"
    ((path,),) = backend.run("SHOW hba_file")
    hba = Path(path)
    before = hba.read_text()
    backend.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    hba.write_text(f"local all {role} scram-sha-256\n{before}")
    backend.run("SELECT pg_reload_conf()")
    yield role
    hba.write_text(before)
    backend.run("SELECT pg_reload_conf()")
    backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_wrong_password_is_named_and_not_shown(
    doctor: Doctor, backend: Backend, guarded_role: str
) -> None:
    url = backend.url.replace("postgres@", f"{guarded_role}:{SECRET}@", 1)
    doctor.set(EXPORTER_SOURCE_URL=url)
    doctor.run()
    found = doctor.found("FAIL", "connection")
    assert "password authentication failed" in found["message"]
    assert found["hint"] == "Correct the user or password in EXPORTER_SOURCE_URL."


def test_a_sample_that_nobody_made_is_not_made(doctor: Doctor, tmp_path: Path) -> None:
    doctor.set(EXPORTER_SOURCE_URL="demo", EXPORTER_DEMO_HOME=str(tmp_path / "demo"))
    doctor.run()
    assert "make demo" in doctor.found("warn", "connection")["hint"]
    assert not (tmp_path / "demo").exists()


# Table and columns


def pasted(doctor: Doctor, name: str, finding: dict[str, Any]) -> None:
    """Do what a finding says: put its block below `source:`, in place of what is there."""
    block = finding["hint"].partition("\n")[2]
    keys = yaml.safe_load(block)
    file = doctor.defs / name / "defs.yaml"
    kept = [
        line for line in file.read_text().splitlines() if line.strip().split(":")[0] not in keys
    ]
    at = kept.index("  source:") + 1
    file.write_text("\n".join([*kept[:at], block, *kept[at:]]) + "\n")


def configured(doctor: Doctor, name: str) -> dict[str, Any]:
    attributes = yaml.safe_load((doctor.defs / name / "defs.yaml").read_text())["attributes"]
    source: dict[str, Any] = attributes["source"]
    return source


def test_a_missing_table_is_answered_with_the_closest(doctor: Doctor, backend: Backend) -> None:
    backend.run("CREATE SCHEMA app; ALTER TABLE logs SET SCHEMA app; CREATE TABLE other (x int)")
    doctor.run()
    found = doctor.found("FAIL", "table")
    assert "logs does not exist" in found["message"]
    assert "(there are: app.logs, anomalies, ip_addresses, other)" in found["message"]
    assert "The closest is app.logs" in found["hint"]
    pasted(doctor, "logs", found)
    assert configured(doctor, "logs")["table"] == "app.logs"
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
    assert found["message"].startswith("logs lacks message (there are: id, timestamp, level,")


def test_an_absent_optional_column_is_no_fault(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs DROP device, DROP ip")
    doctor.run()
    assert "exported as null: device, ip" in doctor.found("ok", "columns")["message"]


STRANGER = """
CREATE SCHEMA ops;
CREATE TABLE ops.event_stream (event_uuid uuid PRIMARY KEY, occurred_at timestamp NOT NULL,
    log_level text, msg text, program text, hostname text, client_ip inet, extra jsonb,
    ingested_by text);
CREATE TABLE ops.detections (nr bigserial PRIMARY KEY, detected_at timestamptz, kind text,
    confidence real, sev text, src_ip inet, evidence jsonb);
CREATE TABLE ops.known_hosts (host_ip_addr text PRIMARY KEY, first_seen_at timestamptz,
    last_seen_at timestamptz, reputation int, cc char(2), tags text[]);
DROP TABLE logs, anomalies, ip_addresses;
INSERT INTO ops.event_stream VALUES (gen_random_uuid(), '2026-11-01 12:00', 'warn', 'hello', 'sshd',
    'edge-01', '10.0.0.1', '{"a": 1}', 'x');
INSERT INTO ops.detections VALUES (1, '2026-11-01T01:00Z', 'spike', 0.5, 'high', '10.0.0.1', '{}');
INSERT INTO ops.known_hosts VALUES ('10.0.0.1', '2026-11-01T01:00Z', '2026-11-01T02:00Z', 5, 'DE',
    '{a,b}');
"""


def test_a_strangers_backend_is_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.run(STRANGER)
    doctor.run()
    for name in ("logs", "anomalies", "ips"):
        pasted(doctor, name, doctor.found("FAIL", "table", name))
    assert configured(doctor, "logs")["columns"] == {
        "id": "event_uuid", "timestamp": "occurred_at", "level": "log_level", "message": "msg",
        "source": "program", "device": "hostname", "ip": "client_ip", "attributes": "extra",
    }  # fmt: skip
    assert configured(doctor, "anomalies")["columns"] == {
        "id": "nr", "timestamp": "detected_at", "type": "kind", "score": "confidence",
        "severity": "sev", "ip": "src_ip", "details": "evidence",
    }  # fmt: skip
    assert configured(doctor, "ips")["columns"] == {
        "address": "host_ip_addr", "first_seen": "first_seen_at", "last_seen": "last_seen_at",
        "risk_score": "reputation", "country": "cc", "labels": "tags",
    }  # fmt: skip
    doctor.run()
    assert doctor.code == 0, doctor.output
    for name in ("logs", "anomalies", "ips"):
        mapped = dataset(name, source=configured(doctor, name))
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
    assert "# details: nothing looks like it; if you have none, make it Optional" in hint
    assert "# not used: remarks" in hint


def test_hundreds_of_tables_are_looked_through_in_seconds(doctor: Doctor, backend: Backend) -> None:
    columns = ", ".join(f"some_{word}_of_it text" for word in "abcdefghijklmnopqrstuvwxyz")
    backend.run("".join(f"CREATE TABLE t{n} (id int, at{n} timestamptz, x{n} text, {columns});"
                        for n in range(400)))  # fmt: skip
    backend.run("ALTER TABLE logs RENAME TO log_records")
    began = time.monotonic()
    done = CliRunner().invoke(cli.main, ["doctor", "--dataset", "logs"])
    assert "The closest is log_records" in done.output
    assert time.monotonic() - began < 10


def test_renamed_columns_are_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.run('ALTER TABLE logs RENAME level TO "LogLevel"')
    backend.run("ALTER TABLE logs RENAME message TO body; ALTER TABLE logs RENAME timestamp TO ts")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert "logs lacks timestamp, level, message" in found["message"]
    assert "level: LogLevel" in doctor.output
    pasted(doctor, "logs", found)
    doctor.run()
    assert doctor.found("ok", "columns")
    mapped = dataset(source=configured(doctor, "logs"))
    (first, *_) = rows(store, export(backend.url, mapped, DAY, store))
    assert (first["level"], first["message"]) == ("INFO", "hello")


@pytest.mark.parametrize("name", ["logs", "anomalies", "ips"])
def test_every_synonym_of_a_shipped_column_is_proposed(
    doctor: Doctor, backend: Backend, name: str
) -> None:
    table = configured(doctor, name)["table"]
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
    pasted(doctor, "logs", found)
    assert configured(doctor, "logs")["columns"] == {}


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


# Key and time


def test_a_missing_index_is_answered_with_its_statement(doctor: Doctor, backend: Backend) -> None:
    backend.run("CREATE TABLE IF NOT EXISTS x (); DROP INDEX logs_timestamp_idx")
    doctor.run()
    statement = doctor.found("warn", "index")["hint"]
    assert re.fullmatch(r'CREATE INDEX CONCURRENTLY ON "\w+"."logs" \("timestamp"\);', statement)
    backend.run(statement.replace("CONCURRENTLY", ""))
    doctor.run()
    assert doctor.found("ok", "index")


def test_an_index_of_a_partitioned_table_is_not_made_concurrently(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME TO old")
    backend.run("CREATE TABLE logs (LIKE old) PARTITION BY RANGE (timestamp)")
    doctor.run()
    statement = doctor.found("warn", "index")["hint"]
    backend.run(statement)
    doctor.run()
    assert doctor.found("ok", "index")
    assert doctor.found("warn", "days")["message"] == "logs has no rows with a time"


def test_a_view_needs_no_index(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME TO old; CREATE VIEW logs AS SELECT * FROM old")
    doctor.run()
    assert not [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "index")]
    assert doctor.found("ok", "days")


def test_a_key_without_a_unique_index_is_looked_at(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs DROP CONSTRAINT logs_pkey")
    doctor.run()
    assert "No unique index over id" in doctor.found("warn", "key")["message"]
    backend.run("UPDATE logs SET id = 1")
    doctor.run()
    assert "occur more than once" in doctor.found("warn", "key")["message"]


@pytest.mark.parametrize("pg_type", ["timestamp", "date"])
def test_a_naive_time_needs_a_zone(doctor: Doctor, backend: Backend, pg_type: str) -> None:
    backend.run(f"ALTER TABLE logs ALTER timestamp TYPE {pg_type}")
    doctor.run()
    assert "read as UTC" in doctor.found("ok", "zone")["message"]
    doctor.edit("logs", "timezone: UTC", "# no zone")
    doctor.run()
    assert "`timezone:`" in doctor.found("FAIL", "types")["message"]


def test_rows_without_a_day_are_counted(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp DROP NOT NULL")
    backend.run(
        "INSERT INTO logs (id, timestamp) VALUES (-1, NULL), (-2, 'infinity'), (-3, '-infinity'), "
        "(-4, '10000-01-01'), (-5, '0001-01-01 BC')"
    )
    doctor.run()
    assert doctor.found("warn", "dayless rows")["message"].endswith(
        "timestamp is null, infinite or no date: 5"
    )
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"


def test_days_are_those_of_the_zone(doctor: Doctor, backend: Backend) -> None:
    backend.run("UPDATE logs SET timestamp = '2026-11-02T23:30:00Z'")
    doctor.set(EXPORTER_TIMEZONE="Europe/Berlin")
    doctor.run()
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-03 to 2026-11-03"
    backend.run("ALTER TABLE logs ALTER timestamp TYPE timestamp USING '2026-11-02 20:30'")
    doctor.edit("logs", "timezone: UTC", "timezone: America/New_York")
    doctor.run()
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-03 to 2026-11-03"


def test_a_newest_row_in_the_future_tells_of_a_wrong_zone(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp TYPE timestamp")
    backend.run("UPDATE logs SET timestamp = now() AT TIME ZONE 'Asia/Tokyo'")
    doctor.set(EXPORTER_END_DATE="")
    doctor.run()
    said = [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "days")]
    assert said[-1]["level"] == "warn"
    assert "lies in the future" in said[-1]["message"]
    doctor.edit("logs", "timezone: UTC", "timezone: Asia/Tokyo")
    doctor.run()
    assert doctor.found("ok", "days")


def test_a_range_without_rows_is_a_warning(doctor: Doctor) -> None:
    doctor.set(EXPORTER_START_DATE="2026-11-05")
    doctor.run()
    assert "EXPORTER_START_DATE=2026-11-01" in doctor.found("warn", "days")["hint"]


def test_a_question_that_takes_too_long_is_given_up(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME TO old")
    backend.run(
        "CREATE VIEW logs AS SELECT old.* FROM old, (SELECT pg_sleep(9) IS NULL AS x) AS slow "
        "WHERE NOT x"
    )
    done = CliRunner().invoke(cli.main, ["doctor", "--json", "--dataset", "logs"])
    said = {f["check"]: f for f in json.loads(done.output)}
    assert said["days"]["level"] == "warn"
    assert "no answer within 1 s" in said["days"]["message"]
    assert said["privileges"]["level"] == "warn"


@pytest.mark.parametrize(
    ("stored", "encoding"),
    [
        ("extract(epoch FROM occurred_at)::bigint", "epoch_s"),
        ("(extract(epoch FROM occurred_at) * 1000)::bigint", "epoch_ms"),
        ("(extract(epoch FROM occurred_at) * 1000000)::numeric", "epoch_us"),
        ("extract(epoch FROM occurred_at)::float8", "epoch_s"),
        ('to_char(occurred_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')', None),
    ],
)
def test_times_as_numbers_or_text_are_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore, stored: str, encoding: str | None
) -> None:
    backend.run(STRANGER)
    backend.run(
        "CREATE TABLE ops.archive AS SELECT event_uuid, log_level, msg, program, "
        f"{stored} AS occurred_at FROM ops.event_stream; DROP TABLE ops.event_stream"
    )
    doctor.run("--dataset", "logs")
    pasted(doctor, "logs", doctor.found("FAIL", "table"))
    assert configured(doctor, "logs").get("encodings") == (
        {"timestamp": encoding} if encoding else None
    )
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"
    assert doctor.found("ok", "dayless rows")
    mapped = dataset(source=configured(doctor, "logs"))
    assert export(backend.url, mapped, DAY, store).record_count == 1
    backend.run("UPDATE ops.archive SET occurred_at = NULL")
    doctor.run("--dataset", "logs")
    assert doctor.found("warn", "dayless rows")["message"].endswith(
        "occurred_at is null, infinite or no date: 1"
    )


def test_a_number_without_an_encoding_is_answered_with_one(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp TYPE bigint USING extract(epoch FROM timestamp)")
    doctor.run()
    assert "encodings" in doctor.found("FAIL", "types")["message"]
    pasted(doctor, "logs", doctor.found("FAIL", "columns"))
    assert configured(doctor, "logs")["encodings"] == {"timestamp": "epoch_s"}
    doctor.run()
    assert doctor.code == 0


def test_a_query_is_looked_at_as_a_table_is(doctor: Doctor, backend: Backend) -> None:
    doctor.edit("logs", "table: logs", 'query: "SELECT * FROM logs WHERE id < 2 -- few"')
    doctor.run()
    assert doctor.found("ok", "table")["message"].startswith("The query ")
    assert doctor.found("ok", "days")
    assert not [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "index")]
    backend.run("ALTER TABLE logs RENAME level TO lvl")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert "table:" not in found["hint"]
    assert "level: lvl" in found["hint"]
    doctor.edit("logs", "SELECT *", "SELEKT *")
    doctor.run()
    assert "syntax error" in doctor.found("FAIL", "table")["message"]
    assert doctor.found("FAIL", "table")["hint"] == "Correct `query` in its defs.yaml."


# SQLite


@pytest.fixture
def sqlite_file(doctor: Doctor, tmp_path: Path) -> Path:
    """A stranger's SQLite file, which the dataset logs is read from."""
    file = tmp_path / "events.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            CREATE TABLE entries (nr INTEGER PRIMARY KEY, created_at DATETIME, severity TEXT,
                text TEXT, service TEXT, hostname TEXT, meta TEXT);
            INSERT INTO entries VALUES
                (1, '2026-11-01 12:00:00', 'warn', 'hello', 'sshd', 'a', '{}'),
                (2, '2026-11-03T12:00:00+02:00', 'info', 'bye', 'sshd', 'a', NULL);
            CREATE VIEW recent AS SELECT * FROM entries;
            CREATE TABLE other (x);
        """)
    doctor.set(LOGS_URL=f"sqlite:///{file}")
    doctor.edit("logs", "url: EXPORTER_SOURCE_URL", "url: LOGS_URL")
    return file


def sqlite(file: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def test_a_sqlite_file_is_exported_with_what_is_proposed(
    doctor: Doctor, sqlite_file: Path, store: LocalStore
) -> None:
    doctor.run("--dataset", "logs")
    assert f", {sqlite_file}, " in doctor.found("ok", "connection")["message"]
    found = doctor.found("FAIL", "table")
    assert "(there are: entries, other, recent)" in found["message"]
    pasted(doctor, "logs", found)
    assert configured(doctor, "logs")["table"] == "entries"
    assert configured(doctor, "logs")["columns"] == {
        "id": "nr", "timestamp": "created_at", "level": "severity", "message": "text",
        "source": "service", "device": "hostname", "attributes": "meta",
    }  # fmt: skip
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "key")
    assert "read as UTC" in doctor.found("ok", "zone")["message"]
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"
    statement = doctor.found("warn", "index")["hint"]
    sqlite(sqlite_file, statement)
    doctor.run("--dataset", "logs")
    assert {f["level"] for f in doctor.said} == {"ok"}, doctor.output
    mapped = dataset(source=configured(doctor, "logs"))
    assert export(os.environ["LOGS_URL"], mapped, DAY, store).record_count == 1


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        ("unixepoch(created_at)", "epoch_s"),
        ("unixepoch(created_at) * 1000", "epoch_ms"),
        ("unixepoch(created_at) + 0.5", "epoch_s"),
    ],
)
def test_numbers_of_sqlite_get_their_encoding(
    doctor: Doctor, sqlite_file: Path, change: str, encoding: str
) -> None:
    sqlite(sqlite_file, f"UPDATE entries SET created_at = {change}")
    doctor.run("--dataset", "logs")
    pasted(doctor, "logs", doctor.found("FAIL", "table"))
    assert configured(doctor, "logs")["encodings"] == {"timestamp": encoding}
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"


def test_rows_of_sqlite_without_a_day_are_counted(doctor: Doctor, sqlite_file: Path) -> None:
    sqlite(
        sqlite_file,
        "INSERT INTO entries (created_at) VALUES (NULL), (''), ('12 apples'), ('yesterday')",
    )
    doctor.run("--dataset", "logs")
    pasted(doctor, "logs", doctor.found("FAIL", "table"))
    doctor.run("--dataset", "logs")
    assert doctor.found("warn", "dayless rows")["message"].endswith(
        "created_at is null, infinite or no date: 4"
    )
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-03"


def test_a_sqlite_key_that_repeats_and_a_zone_that_is_missing(
    doctor: Doctor, sqlite_file: Path
) -> None:
    sqlite(
        sqlite_file,
        "CREATE TABLE logs AS SELECT 1 AS id, created_at AS timestamp, severity AS level, "
        "text AS message, service AS source FROM entries",
    )
    doctor.run("--dataset", "logs")
    assert "occur more than once" in doctor.found("warn", "key")["message"]
    doctor.edit("logs", "timezone: UTC", "# no zone")
    doctor.run("--dataset", "logs")
    assert "SQLite stores none" in doctor.found("FAIL", "types")["message"]


def test_looking_at_a_sqlite_file_leaves_nothing_beside_it(
    doctor: Doctor, sqlite_file: Path
) -> None:
    sqlite(sqlite_file, "PRAGMA journal_mode = wal")
    before = sorted(sqlite_file.parent.iterdir()), sqlite_file.read_bytes()
    doctor.run("--dataset", "logs")
    assert (sorted(sqlite_file.parent.iterdir()), sqlite_file.read_bytes()) == before


def test_what_a_crash_left_of_a_sqlite_file_is_left_as_it_is(
    doctor: Doctor, sqlite_file: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(sqlite_file)) as application:
        application.execute("PRAGMA journal_mode = wal")
        application.execute("CREATE TABLE late (x)")
        shutil.copy(sqlite_file, crashed)
        shutil.copy(f"{sqlite_file}-wal", crashed)
    doctor.set(LOGS_URL=f"sqlite:///{crashed / sqlite_file.name}")
    before = sorted(crashed.iterdir())
    doctor.run("--dataset", "logs")
    assert sorted(crashed.iterdir()) == before
    assert "start it once" in doctor.found("FAIL", "connection")["hint"]


def test_a_transaction_that_a_crash_left_open_is_said(
    doctor: Doctor, sqlite_file: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with contextlib.closing(sqlite3.connect(sqlite_file, isolation_level=None)) as application:
        application.execute("PRAGMA cache_size = 1")
        application.execute("BEGIN")
        for number in range(100):
            application.execute("INSERT INTO other VALUES (?)", [str(number) * 2000])
        shutil.copy(sqlite_file, crashed)
        shutil.copy(f"{sqlite_file}-journal", crashed)
    doctor.set(LOGS_URL=f"sqlite:///{crashed / sqlite_file.name}")
    doctor.run("--dataset", "logs")
    found = doctor.found("FAIL", "connection")
    assert "did not end a transaction" in found["message"]
    assert "start it once" in found["hint"]


def test_a_sqlite_file_that_cannot_be_read_is_named(doctor: Doctor, tmp_path: Path) -> None:
    doctor.set(EXPORTER_SOURCE_URL=f"sqlite:///{tmp_path}/nothing.db")
    doctor.run()
    assert "There is no SQLite file" in doctor.found("FAIL", "connection")["message"]
    (tmp_path / "nothing.db").write_text("no database, but long enough to look like one" * 9)
    doctor.run()
    assert "not a database" in doctor.found("FAIL", "connection")["message"]
    doctor.set(EXPORTER_SOURCE_URL="sqlite:///")
    doctor.run()
    assert "names no SQLite file" in doctor.found("FAIL", "connection")["message"]


def test_a_slow_question_to_sqlite_is_given_up(doctor: Doctor, sqlite_file: Path) -> None:
    doctor.edit(
        "logs",
        "table: logs",
        "query: WITH RECURSIVE n(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) "
        "SELECT max(x) AS id FROM n",
    )
    doctor.run("--dataset", "logs")
    assert "no answer within 1 s" in doctor.found("FAIL", "table")["message"]


# Privileges


def test_a_superuser_is_a_warning(doctor: Doctor) -> None:
    doctor.run()
    found = doctor.found("warn", "privileges")
    assert found["message"] == "The role is a superuser and may do far more than read"
    assert "docs/deployment.md" in found["hint"]
    assert doctor.code == 0


def test_a_role_that_may_write_is_a_warning(doctor: Doctor, backend: Backend, reader: str) -> None:
    backend.run(f"GRANT DELETE ON logs TO {reader}")
    doctor.run()
    assert doctor.found("warn", "privileges")["message"] == "The role may write to logs"
    assert doctor.found("ok", "privileges", "ips")


def test_policies_that_may_hide_rows_are_a_warning(
    doctor: Doctor, backend: Backend, reader: str
) -> None:
    backend.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY")
    doctor.run()
    assert "may hide rows" in doctor.found("warn", "row-level security")["message"]


# Configuration


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("    table: logs", "    tabel: logs", 11, "source.tabel: there is no such setting"),
        ("rejected_rows: 10", "rejected_rows: -1", 24, "max_rejected_rows: Input should be"),
        ("attributes:\n", "attributes: [\n", 6, "not valid YAML"),
        ("url: EXPORTER_SOURCE_URL", f"url: postgresql://u:{SECRET}@h/d", 10, "source.url"),
        ("  source:", "  # source:", None, ""),
        ("schema.LogRow", "schema.Nothing", None, "has no attribute 'Nothing'"),
        ("  format: jsonl", "  format: xml", None, "format 'xml' does not exist"),
        ("attributes:", "atributes:", None, "has no attributes"),
        (
            "DatasetExport",
            "DatasetExprot",
            None,
            "type 'exporter_pipelines.components.DatasetExprot'",
        ),
    ],
)
def test_a_broken_file_is_named_and_hides_no_other(
    doctor: Doctor, old: str, new: str, line: int | None, said: str
) -> None:
    doctor.edit("logs", old, new)
    doctor.run()
    found = doctor.found("FAIL", "defs.yaml")
    at = f":{line}: " if line else ":"
    assert found["message"].startswith(f"{doctor.defs / 'logs' / 'defs.yaml'}{at}")
    assert said in found["message"]
    assert doctor.found("ok", "connection", "ips")
    assert doctor.code == 1


def test_a_preset_is_not_looked_at_twice_and_breaks_with_its_dataset(doctor: Doctor) -> None:
    doctor.run()
    assert doctor.found("ok", "source", "logs_errors")["message"] == "The same as that of logs"
    doctor.run("--dataset", "logs_errors")
    assert doctor.found("ok", "days", "logs_errors")
    doctor.edit("logs", "rejected_rows: 10", "rejected_rows: -1")
    doctor.run()
    assert ":24: max_rejected_rows" in doctor.found("FAIL", "defs.yaml", "logs")["message"]
    found = doctor.found("FAIL", "defs.yaml", "logs_errors")
    assert "logs, which it is like, or another file cannot be read" in found["message"]


def test_components_of_others_and_further_documents_are_no_trouble(doctor: Doctor) -> None:
    file = doctor.defs / "logs" / "defs.yaml"
    text = file.read_text()
    second = text.replace("name: logs", "name: later_logs").replace("table: logs", "tabel: logs")
    file.write_text(f"type: somebody.Elses\nattributes: {{}}\n---\n{text}---\n{second}")
    doctor.run()
    assert doctor.found("ok", "days", "logs")
    found = doctor.found("FAIL", "defs.yaml", "later_logs")
    line = 1 + file.read_text().splitlines().index(
        "    tabel: logs                   # or schema.table"
    )
    assert f":{line}: source.tabel" in found["message"]


def test_a_name_that_is_taken_is_named_for_both(doctor: Doctor) -> None:
    doctor.edit("logs", "name: logs", "name: ips")
    doctor.run()
    said = [f for f in doctor.said if (f["dataset"], f["check"]) == ("ips", "defs.yaml")]
    assert len(said) == 2
    assert all("'ips' is taken twice: in ips and logs" in f["message"] for f in said)


def test_a_preset_that_is_wrong_itself_is_named_with_its_line(doctor: Doctor) -> None:
    doctor.edit("logs_errors", "  like: logs\n", "  like: logs\n  sources: {}\n")
    doctor.run()
    found = doctor.found("FAIL", "defs.yaml", "logs_errors")
    assert ":7: sources: there is no such setting" in found["message"]
    assert doctor.found("ok", "connection", "logs")


def test_a_schema_that_raises_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "broken_schema.py").write_text("1 / 0")
    doctor.monkeypatch.syspath_prepend(tmp_path)
    doctor.edit("logs", "exporter_pipelines.defs.logs.schema.LogRow", "broken_schema.LogRow")
    doctor.run()
    assert "ZeroDivisionError" in doctor.found("FAIL", "defs.yaml")["message"]


def test_synonyms_name_shipped_columns_only() -> None:
    shipped: set[str] = set()
    for file in DEFS.glob("*/defs.yaml"):
        attributes = yaml.safe_load(file.read_text())["attributes"]
        if "schema" in attributes:
            config = DatasetConfig(**attributes)
            shipped.update(load_row_schema(config.row_schema).names)
    assert set(SYNONYMS) <= shipped


# The real command


def command(
    project: Project, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "exporter", *arguments],
        cwd=project.path,
        env={**project.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_reads_the_env_file_over_the_shell(project: Project) -> None:
    elsewhere = f"postgresql://u:{SECRET}@127.0.0.1:1/x"
    done = command(project, "doctor", EXPORTER_SOURCE_URL=elsewhere)
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert "replaces what the shell says for EXPORTER_SOURCE_URL" in done.stdout
    assert re.search(r"^ok    logs +connection .*database test_", done.stdout, re.MULTILINE)
    assert SECRET not in done.stdout


def test_the_command_needs_no_dagster(project: Project) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, exporter_pipelines.cli; print('dagster' in sys.modules)",
        ],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_the_page_shows_the_real_help(project: Project) -> None:
    done = command(project, "doctor", "--help", COLUMNS="100")
    assert done.stdout.strip() in (ROOT / "docs" / "doctor.md").read_text()


def test_the_page_explains_every_check() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    folder = ROOT / "exporter_pipelines" / "doctor"
    source = "".join(file.read_text() for file in [*folder.glob("*.py")])
    checks = set(
        re.findall(r'"(?:ok|warn|FAIL)", (?:None|dataset(?:\.name)?), "([a-z .-]+)"', source)
    )
    checks |= {"connection", "row-level security", "privileges", "dagster", "types"}
    assert len(checks) > 12
    for check in checks:
        assert f"| `{check}` |" in page, check
