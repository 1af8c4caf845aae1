"""`exporter doctor` on mistakes in `defs/`: each is named with its file, and hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.doctor.synonyms import SYNONYMS
from exporter_pipelines_tests.support.definitions import DEFS
from exporter_pipelines_tests.support.doctor_runs import SECRET, Doctor


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("    table: logs", "    tabel: logs", 11, "source.tabel: there is no such setting"),
        ("rejected_rows: 10", "rejected_rows: -1", 24, "max_rejected_rows: Input should be"),
        ("attributes:\n", "attributes: [\n", 6, "not valid YAML"),
        ("url: EXPORTER_SOURCE_URL", f"url: postgresql://u:{SECRET}@h/d", 10, "source.url"),
        ("  source:", "  # source:", None, ""),
        ("schema.LogRow", "schema.Nothing", 7, "has no attribute 'Nothing'"),
        ("  format: jsonl", "  format: xml", 21, "format 'xml' does not exist"),
        ("attributes:", "atributes:", 4, "atributes: there is no such setting"),
        (
            "DatasetExport",
            "DatasetExprot",
            2,
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
    assert doctor.found("ok", "source", "logs_errors")["message"] == "Same source as logs"
    doctor.run("--dataset", "logs_errors")
    assert doctor.found("ok", "days", "logs_errors")
    doctor.edit("logs", "rejected_rows: 10", "rejected_rows: -1")
    doctor.run()
    assert ":24: max_rejected_rows" in doctor.found("FAIL", "defs.yaml", "logs")["message"]
    found = doctor.found("FAIL", "defs.yaml", "logs_errors")
    assert ":6: the definition of 'logs' has a mistake" in found["message"]
    assert found["hint"] == "Correct that one first."


def test_components_of_others_and_further_documents_are_no_trouble(doctor: Doctor) -> None:
    file = doctor.defs / "logs" / "defs.yaml"
    text = file.read_text()
    second = text.replace("name: logs", "name: later_logs").replace("table: logs", "tabel: logs")
    file.write_text(f"type: dagster.DefsFolderComponent\n---\n{text}---\n{second}")
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
