"""`defaults`, `nullable`, `extra_columns` and the default level: what is written and reported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.preset import PresetConfig
from exporter_pipelines.engine.load import open_days, read_manifest
from exporter_pipelines.errors import ColumnMismatchError, ConfigurationError
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.card_readers import Job, run_jobs
from exporter_pipelines_tests.support.databases import (
    DATABASES,
    Database,
    sqlite_database,
    with_shipped_tables,
)
from exporter_pipelines_tests.support.datasets import dataset, export, rejected, rows

DAY, NOON = "2026-11-01", "2026-11-01T12:00:00Z"


@pytest.fixture(params=[name for name in DATABASES if "-" not in name])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with the tables of the three datasets."""
    with DATABASES[request.param](request, tmp_path) as found:
        yield with_shipped_tables(found)


def add(database: Database, number: int, **values: Any) -> None:
    row = {"level": "INFO", "message": "hello", "source": "app", **values}
    database.add("logs", {"id": number, "timestamp": NOON, **row})


def logs(**changes: Any) -> Dataset:
    return dataset(**{"max_rejected_pct": 100, **changes})


# Defaults


def test_a_missing_value_gets_the_default(database: Database, store: LocalStore) -> None:
    add(database, 1, level=None)
    add(database, 2, level="error", device="edge")
    add(database, 3, level=None, ip="no address")
    add(database, 4, level="debug")
    database.run("ALTER TABLE logs DROP COLUMN source")
    exported = logs(
        defaults={
            "level": "WARNING", "source": "unknown", "device": "none", "attributes": {"a": [1]},
        },
        filters=[{"name": "severe", "column": "level", "op": "ne", "value": "DEBUG"}],
    )  # fmt: skip
    manifest = export(database.url, exported, DAY, store)
    found = {row["id"]: row for row in rows(store, manifest)}
    assert {number: row["level"] for number, row in found.items()} == {1: "WARNING", 2: "ERROR"}
    assert {row["source"] for row in found.values()} == {"unknown"}
    assert [row["device"] for row in found.values()] == ["none", "edge"]
    metrics = manifest.data_quality_metrics
    counted = {name: metrics[f"filled.{name}"] for name in exported.config.defaults}
    assert counted == {"level": 2, "source": 4, "device": 3, "attributes": 4}
    [applied] = [t for t in manifest.transformations if t.name == "defaults"]
    assert applied.params == exported.config.defaults
    assert manifest.export_config["defaults"] == exported.config.defaults
    nullable = {column.name: column.nullable for column in manifest.columns}
    assert not nullable["level"]
    assert not nullable["source"]
    [bad] = rejected(store, manifest)
    assert (bad["id"], bad["level"], bad["source"]) == (3, None, None)
    assert [reason["rule"] for reason in bad["rejections"]] == ["valid_address"]


def test_a_document_is_filled_in_as_a_document(database: Database, store: LocalStore) -> None:
    add(database, 1)
    exported = logs(defaults={"attributes": {"b": None, "a": [1, "x"]}})
    [row] = rows(store, export(database.url, exported, DAY, store))
    assert row["attributes"] == {"b": None, "a": [1, "x"]}


def test_a_value_that_could_not_be_delivered_gets_no_default(
    database: Database, store: LocalStore
) -> None:
    add(database, 1, message="x" * 200)
    exported = logs(defaults={"message": "none"}, max_value_bytes=100)
    manifest = export(database.url, exported, DAY, store)
    assert manifest.counts.rejected == 1
    assert manifest.data_quality_metrics["filled.message"] == 0


def test_a_column_that_is_mapped_must_exist_even_with_a_default(
    database: Database, store: LocalStore
) -> None:
    exported = logs(defaults={"source": "unknown"}, source={"columns": {"source": "program"}})
    with pytest.raises(ColumnMismatchError, match="'program'"):
        export(database.url, exported, DAY, store)


def test_without_a_default_nothing_is_said_of_them(database: Database, store: LocalStore) -> None:
    add(database, 1)
    manifest = export(database.url, logs(), DAY, store)
    assert not {"defaults", "nullable", "extra_columns"} & set(manifest.export_config)
    assert not [name for name in manifest.data_quality_metrics if name.startswith("filled.")]
    assert "default" not in manifest.transformations[0].params


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"levle": "INFO"}, "defaults: column 'levle' does not exist .*: id, timestamp, level"),
        ({"level": "LOUD"}, "'LOUD' breaks the rule 'known_level' of 'level'. Write one of DEBUG"),
        ({"level": 3}, "defaults: 3 is not a value of 'level' .string."),
        ({"level": None}, r"'level' has no value. .* write `nullable: \[level\]` instead"),
        ({"id": 1}, "'id' is the key, which cannot have a default"),
        ({"timestamp": NOON}, "'timestamp' is the time column, which cannot have a default"),
        ({"message": "\ud800"}, "is not a value of 'message'"),
        ({"attributes": float("nan")}, "defaults: nan is not a value of 'attributes' .json."),
        ({"attributes": {"a": [10**30]}}, "is not a value of 'attributes' .json."),
    ],
)
def test_a_default_that_cannot_be_written_is_refused(defaults: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        dataset(defaults=defaults)
    refused.match(said)


# Null


def test_null_is_allowed_where_the_dataset_says_so(database: Database, store: LocalStore) -> None:
    for number, score in enumerate([None, 5.0, 500.0]):
        database.add(
            "ip_addresses",
            {"id": number, "address": f"10.0.0.{number}", "first_seen": NOON, "last_seen": NOON,
             "risk_score": score},
        )  # fmt: skip
    exported = dataset("ips", nullable=["risk_score"], max_rejected_pct=100)
    manifest = export(database.url, exported, DAY, store)
    assert [row["risk_score"] for row in rows(store, manifest)] == [None, 5.0]
    [column] = [column for column in manifest.columns if column.name == "risk_score"]
    assert column.nullable
    assert manifest.export_config["nullable"] == ["risk_score"]
    [bad] = rejected(store, manifest)
    assert [reason["rule"] for reason in bad["rejections"]] == ["risk_score_in_range"]
    card = (store.root / "ips" / "README.md").read_text()
    assert "| `risk_score` | double | yes |" in card


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("levle", "nullable: column 'levle' does not exist"),
        ("timestamp", "a row without a time belongs to no day"),
    ],
)
def test_a_column_that_cannot_be_null_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        dataset(nullable=[name])


# The default level


def test_an_unknown_level_gets_the_default_level(database: Database, store: LocalStore) -> None:
    for number, level in enumerate(["warn", "INFO", "odd", "", "odd", None, "info"]):
        add(database, number, level=level)
    aliases = {"name": "level_aliases", "params": {"default": "INFO"}}
    manifest = export(database.url, logs(transforms=[aliases]), DAY, store)
    assert [row["level"] for row in rows(store, manifest)] == [
        "WARNING", "INFO", "INFO", "INFO", "INFO", "INFO",
    ]  # fmt: skip
    metrics = manifest.data_quality_metrics
    assert metrics["changed.level_aliases"] == 2
    assert metrics["changed.level_aliases_default"] == 3
    assert manifest.transformations[0].params["default"] == "INFO"
    assert manifest.counts.rejected == 1  # the missing one


# Further columns


def test_columns_that_the_schema_does_not_name_are_kept(
    database: Database, store: LocalStore
) -> None:
    kinds = {
        "region": "string", "size": "int64", "ratio": "float64", "secure": "bool", "date": "string",
        "ip_": "string", "DEVICE_": "int64",
    }  # fmt: skip
    for name, kind in kinds.items():
        database.run(f'ALTER TABLE logs ADD COLUMN "{name}" {database.types[kind]}')
    add(database, 1, region="eu", size=2**53 + 1, ratio=0.5, secure=True, date="x", ip_="y")
    add(database, 2)
    manifest = export(database.url, logs(extra_columns="keep"), DAY, store)
    first, second = rows(store, manifest)
    assert {name: first[name] for name in ("region", "size", "ratio", "secure")} == {
        "region": "eu", "size": 2**53 + 1, "ratio": 0.5, "secure": True,
    }  # fmt: skip
    assert (first["date_"], first["ip_"], second["region"]) == ("x", "y", None)
    extra = {c.name: (c.extra, c.type, c.nullable) for c in manifest.columns if c.extra is not None}
    assert extra["size"] == ("size", "int64", True)
    assert extra["date_"] == ("date", "string", True)
    assert set(extra) == {"region", "size", "ratio", "secure", "date_", "ip_", "DEVICE_"}
    assert [c.extra for c in manifest.columns[:8]] == [None] * 8
    assert export(database.url, logs(), DAY, store).columns == manifest.columns[:8]


def test_rows_with_further_columns_are_rejected_like_others(
    database: Database, store: LocalStore
) -> None:
    database.run(f"ALTER TABLE logs ADD COLUMN size {database.types['int64']}")
    add(database, 1, ip="no address", size=7)
    manifest = export(database.url, logs(extra_columns="keep"), DAY, store)
    [bad] = rejected(store, manifest)
    assert bad["size"] == 7


def test_a_column_that_select_leaves_out_is_not_kept(database: Database, store: LocalStore) -> None:
    database.run("ALTER TABLE logs ADD COLUMN region text")
    add(database, 1, region="eu")
    exported = logs(extra_columns="keep", select=["id", "timestamp"])
    [row] = rows(store, export(database.url, exported, DAY, store))
    assert list(row) == ["id", "timestamp"]


# Presets


def test_a_preset_adds_defaults_and_undoes_the_other_settings() -> None:
    preset = PresetConfig(
        name="mine", like="logs", defaults={"source": "b"}, nullable=[], extra_columns="ignore"
    )  # type: ignore[call-arg]
    base = {"defaults": {"level": "INFO"}, "nullable": ["message"], "extra_columns": "keep"}
    merged = preset.merged_with({"name": "logs", **base})
    assert merged["defaults"] == {"level": "INFO", "source": "b"}
    assert (merged["nullable"], merged["extra_columns"]) == ((), "ignore")


# Columns that appear and disappear


CHANGES = {
    "2026-11-01": ["ALTER TABLE logs ADD COLUMN b TEXT"],
    "2026-11-02": [
        "ALTER TABLE logs DROP COLUMN b", "ALTER TABLE logs ADD COLUMN a INTEGER",
        "ALTER TABLE logs ADD COLUMN doc JSON",
    ],
    "2026-11-03": [
        "ALTER TABLE logs ADD COLUMN b TEXT", "UPDATE logs SET a = 7, b = 'x', doc = '[1]'",
    ],
}  # fmt: skip
"""Day -> what is done to the table before it is exported."""


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LocalStore]:
    """Format -> three days whose extra columns change."""
    folder = tmp_path_factory.mktemp("changing")
    database = with_shipped_tables(sqlite_database(folder / "source.db", wal=True))
    stores = {format_: LocalStore(folder / format_) for format_ in FORMATS}
    add(database, 0)
    for number, (day, statements) in enumerate(CHANGES.items(), 1):
        move = f"UPDATE logs SET id = {number}, timestamp = '{day}T12:00Z'"
        for statement in (*statements, move):
            database.run(statement)
        for format_, store in stores.items():
            export(database.url, logs(extra_columns="keep", format=format_), day, store)
    return stores


def test_every_reader_of_the_card_gives_all_columns_of_all_days(
    changing: dict[str, LocalStore], tmp_path: Path
) -> None:
    jobs = {}
    for format_, store in changing.items():
        card = (store.root / "logs" / "README.md").read_text()
        for reader, code in re.findall(r"With (\w+):\n\n```python\n(.*?)\n```", card, re.DOTALL):
            jobs[format_, reader] = Job(str(store.root), "logs", code)
    assert len(jobs) == 20
    for name, found in zip(jobs, run_jobs([*jobs.values()], tmp_path), strict=True):
        assert found.error == "", name
        assert found.columns[8:] == ["b", "a", "doc"], name
        values = sorted([row[0], *row[8:]] for row in found.rows)
        assert values == [["1", None, None, None], ["2", None, None, None], ["3", "x", "7", "[1]"]]


def test_days_with_changing_columns_are_opened_together(changing: dict[str, LocalStore]) -> None:
    for store in changing.values():
        table = open_days(store, "logs", [*CHANGES]).read_all()
        assert table.column_names[8:] == ["b", "a", "doc"]
        assert table.select(["id", "a", "b"]).to_pylist()[2] == {"id": 3, "a": 7, "b": "x"}
    store = changing["jsonl"]
    schema = json.loads((store.root / "logs" / "schema.json").read_text())
    assert not {"a", "b", "doc"} & set(schema["required"])
    for day in CHANGES:
        for row in rows(store, read_manifest(store, "logs", day)):
            jsonschema.validate(row, schema)
