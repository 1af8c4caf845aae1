"""`exporter init` on tables with logs, anomalies and IP records: the shipped schemas are used."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import rows
from exporter_pipelines_tests.support.doctor_runs import STRANGER, Doctor
from exporter_pipelines_tests.support.init_runs import Init, initiated

DAY = "2026-11-01"
_TRAINING_SET = """\
type: exporter_pipelines.components.TrainingSet
attributes:
  name: {name}
  dataset: {uses}
  days: {{trailing: 3}}
  labels:
    - {{dataset: {uses}, by: {{id: id}}}}
"""


@pytest.fixture
def init(
    doctor: Doctor,
    backend: Backend,
    tmp_path: Path,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Init]:
    """The command and the doctor on the three tables, with rows, in the same project."""
    with initiated(tmp_path, store, monkeypatch) as found:
        doctor.defs = found.defs
        yield found.read(backend.url)


def attributes(init: Init, name: str) -> dict[str, object]:
    """The attributes of a dataset as written."""
    found: dict[str, object] = yaml.safe_load(init.text(name, "defs.yaml"))["attributes"]
    return found


def test_the_shipped_tables_keep_their_definitions(init: Init, doctor: Doctor) -> None:
    before = {name: attributes(init, name) for name in ("logs", "anomalies", "ips")}
    listed = init.run()
    assert all(f"with the schema of {name}" in listed for name in before)
    said = init.run("--all", code=1)
    assert "logs exists and reads logs of EXPORTER_SOURCE_URL. Nothing was written." in said
    assert "key          address: has a unique index" in init.run("--all", "--force")
    for name, old in before.items():
        new = attributes(init, name)
        assert {**new, "source": None} == {**old, "source": None}
        assert "max_rejected_pct: 1.0           # a day is held" in init.text(name, "defs.yaml")
        assert init.export(name, DAY).record_count
    doctor.run()
    assert [f for f in doctor.said if f["level"] == "FAIL"] == []


def test_a_backend_with_other_names_is_mapped(
    init: Init, doctor: Doctor, backend: Backend, store: LocalStore
) -> None:
    backend.run(STRANGER)
    backend.run("ALTER TABLE ops.event_stream ADD request_no int DEFAULT 7")
    backend.run(
        "INSERT INTO ops.event_stream "
        "VALUES (gen_random_uuid(), '2026-11-01 12:00', NULL, 'm', 'p')"
    )
    said = init.run("--all", "--force", "--timezone", "UTC")
    assert "nullable     level: rows have no value there" in said
    assert "kept         ingested_by, request_no: not in the schema of logs" in said
    assert "rm -r" not in said
    assert init.source("logs")["columns"] == {
        "id": "event_uuid", "timestamp": "occurred_at", "level": "log_level", "message": "msg",
        "source": "program", "device": "hostname", "ip": "client_ip", "attributes": "extra",
    }  # fmt: skip
    manifest = init.export("logs", DAY)
    assert manifest.record_count == 2
    assert {row["request_no"] for row in rows(store, manifest)} == {7}
    for name in ("anomalies", "ips"):
        assert init.export(name, DAY).record_count == 1
    doctor.run()
    assert [f for f in doctor.said if f["level"] == "FAIL"] == []


@pytest.mark.parametrize(("others", "ip"), [("", "origin"), (", client_ip inet", "client_ip")])
def test_an_address_column_never_becomes_the_name_of_a_program(
    init: Init, backend: Backend, others: str, ip: str
) -> None:
    """A policy that keeps `source`, as that of `logs_shareable`, would export the addresses."""
    backend.run(
        "CREATE TABLE journal (entry_no bigint PRIMARY KEY, happened timestamptz, prio text,"
        f" msg_text text, extra jsonb, origin inet{others})"
    )
    assert "with its own schema (like logs, but without source)" in init.run()
    backend.run("ALTER TABLE journal ADD program text")
    said = init.run("journal", "--force")
    columns = init.source("logs")["columns"]
    assert (columns["source"], columns["ip"]) == ("program", ip)
    assert ("kept         origin" in said) is (ip != "origin")


def test_the_removal_of_samples_leaves_no_training_set_without_its_dataset(
    init: Init, doctor: Doctor, backend: Backend
) -> None:
    for name, uses in [("of_anomalies", "anomalies"), ("of_logs", "logs")]:
        (init.defs / name).mkdir()
        (init.defs / name / "defs.yaml").write_text(_TRAINING_SET.format(name=name, uses=uses))
    backend.run("DROP TABLE anomalies, ip_addresses")
    said = init.run("logs", "--force")
    assert "database: anomalies, ips. Training sets that use them: of_anomalies. If no" in said
    [command] = [line for line in said.splitlines() if "rm -r" in line]
    removed = [Path(folder) for folder in command.split()[2:]]
    assert {folder.name for folder in removed} == {"anomalies", "ips", "of_anomalies"}
    for folder in removed[:-1]:
        shutil.rmtree(folder)
    doctor.run()
    found = doctor.found("FAIL", "defs.yaml", "of_anomalies")
    assert found["message"].startswith(f"{init.defs / 'of_anomalies' / 'defs.yaml'}:4: ")
    assert "dataset 'anomalies' does not exist" in found["message"]
    assert "remove the folder of this training set" in found["hint"]
    shutil.rmtree(removed[-1])
    doctor.run()
    assert [f for f in doctor.said if f["check"] == "defs.yaml"] == []


def test_a_second_table_of_the_same_kind_gets_its_own_folder(init: Init, backend: Backend) -> None:
    backend.run("CREATE TABLE old_logs AS SELECT * FROM logs; ALTER TABLE old_logs ADD UNIQUE (id)")
    init.run("old_logs", "--name", "archive")
    assert attributes(init, "archive")["schema"] == attributes(init, "logs")["schema"]
    assert not (init.defs / "archive" / "schema.py").exists()
    assert init.export("archive", DAY).record_count == 3
    init.run("logs", "old_logs", "--force")
    assert init.source("logs")["table"] == "logs"
    assert init.source("old_logs")["table"] == "old_logs"
    init.run("old_logs", "--name", "own", "--own-schema")
    assert "class OwnRow(" in init.text("own")
    assert init.export("own", DAY).record_count == 3


def test_a_table_that_lacks_a_column_of_a_shipped_dataset_says_which(
    init: Init, doctor: Doctor, backend: Backend
) -> None:
    backend.run(
        "CREATE TABLE audit (nr int PRIMARY KEY, created_on timestamptz NOT NULL, lvl text,"
        " msg text, client inet)"
    )
    assert "with its own schema (like logs, but without source)" in init.run()
    said = init.run("audit")
    assert (
        "  schema       its own. The table is like logs, but without source. To export it" in said
    )
    doctor.edit("logs", "table: logs ", "table: audit ")
    doctor.run("--dataset", "logs")
    hint = doctor.found("FAIL", "columns")["hint"]
    assert "level: lvl" in hint
    assert "# source: no similar column" in hint
    assert "like logs" not in init.run("audit", "--own-schema", "--force")


def test_a_table_with_vague_names_is_not_taken_for_an_anomaly(init: Init, backend: Backend) -> None:
    backend.run(
        "CREATE TABLE orders (id int PRIMARY KEY, created_at timestamptz, name text, value float,"
        " metadata jsonb)"
    )
    said = init.run() + init.run("orders")
    [listed] = [line for line in said.splitlines() if line.startswith("orders  ")]
    assert listed.endswith("  with its own schema")
    assert "with the schema of" not in said.partition("\norders: ")[2]
    assert "  schema  " not in said


def test_a_definition_in_another_style_is_not_changed(init: Init) -> None:
    file = init.defs / "logs" / "defs.yaml"
    text = "type: exporter_pipelines.components.DatasetExport\nattributes: {}\n"
    old = attributes(init, "logs")
    file.write_text(text.replace("{}", yaml.safe_dump(old, default_flow_style=True).strip()))
    before = file.read_text()
    said = init.run("logs", "--force", code=1)
    assert "is not laid out as `exporter init` expects" in said
    assert "    table: logs" in said
    assert file.read_text() == before


def test_numbers_that_become_levels_can_be_kept_as_well(init: Init, backend: Backend) -> None:
    backend.run(
        'CREATE TABLE "Syslog" (id int PRIMARY KEY, timestamp timestamptz NOT NULL, '
        '"Prio" smallint NOT NULL, message text NOT NULL, source text NOT NULL);'
        """INSERT INTO "Syslog" SELECT n, '2026-11-01T01:00Z', n % 8, 'm', 'h' """
        "FROM generate_series(1, 16) n"
    )
    said = init.run("Syslog", "--name", "syslog", "--timezone", "UTC")
    (line,) = [each for each in said.splitlines() if each.startswith("  level  ")]
    assert "the numbers in Prio become names, several of them the same, and are not exp" in line
    query = 'query: SELECT *, "Prio" AS "Prio_number" FROM "Syslog"'
    assert f"`{query}` in place of `table:`, and `extra_columns: keep`" in line
    file = init.defs / "syslog" / "defs.yaml"
    text = file.read_text().replace("table: Syslog", query)
    file.write_text(text if "extra_columns: keep" in text else f"{text}  extra_columns: keep\n")
    manifest = init.export("syslog", DAY)
    found = {(row["level"], row["Prio_number"]) for row in rows(init.store, manifest)}
    assert {("CRITICAL", 0), ("CRITICAL", 2), ("INFO", 5), ("INFO", 6), ("DEBUG", 7)} <= found
    assert "  level  " not in init.run("logs", "--force")
