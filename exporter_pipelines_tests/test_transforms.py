"""Custom transforms, and structured filters."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.refinements import FilterConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.errors import ConfigurationError, TransformCrashedError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.transforms import RowFilter
from exporter_pipelines.transforms.function import _differing
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rejected, rows
from exporter_pipelines_tests.support.doc_examples import example, indented
from exporter_pipelines_tests.support.projects import Project

DAY = "2026-11-01"
OWN = "exporter_pipelines_tests.support.custom_rules"
LOGS = load_row_schema("exporter_pipelines.defs.logs.schema.LogRow")


def test_an_own_transform_changes_counts_and_is_described(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 5)
    backend.run("UPDATE logs SET message = 'LOUD' WHERE id = 2; UPDATE logs SET device = NULL")
    own = [
        {"function": f"{OWN}.shout"},
        {"function": f"{OWN}.shout", "name": "loud_devices", "params": {"column": "device"}},
        {"function": f"{OWN}.unchanged"},
    ]
    manifest = export(backend.url, dataset(transforms=own), DAY, store)
    assert [row["message"] for row in rows(store, manifest)] == [
        "HELLO", "LOUD", "HELLO", "HELLO", "HELLO",
    ]  # fmt: skip
    metrics = manifest.data_quality_metrics
    names = ("shout", "loud_devices", "unchanged")
    assert [metrics[f"changed.{name}"] for name in names] == [4, 0, 0]
    described = [(t.name, t.version, t.params) for t in manifest.transformations[:3]]
    assert described == [
        ("shout", 3, {}), ("loud_devices", 3, {"column": "device"}), ("unchanged", 1, {}),
    ]  # fmt: skip


def test_the_quarantine_keeps_a_row_as_it_was_read(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 3)
    backend.run("UPDATE logs SET ip = 'host' WHERE id = 2")
    manifest = export(backend.url, dataset(transforms=[{"function": f"{OWN}.shout"}]), DAY, store)
    assert [row["message"] for row in rejected(store, manifest)] == ["hello"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dropping_a_row", "'dropping_a_row' returned 4 rows for 5"),
        ("dropping_a_column", "'dropping_a_column' returned the columns id, timestamp, level"),
        ("retyping", "'retyping' returned message as null instead of string"),
        ("giving_a_table", "'giving_a_table' returned a Table"),
        ("failing", "'failing' raised ValueError"),
    ],
)
def test_a_transform_that_breaks_its_promise_is_named(
    backend: Backend, store: LocalStore, name: str, said: str
) -> None:
    backend.add_logs(DAY, 5, message="secret")
    with pytest.raises(TransformCrashedError, match=said) as crashed:
        export(backend.url, dataset(transforms=[{"function": f"{OWN}.{name}"}]), DAY, store)
    assert "secret" not in str(crashed.value)
    assert store.read_manifest("logs", DAY) is None


def test_what_differs_is_counted_value_by_value() -> None:
    floats = [1.0, math.nan, None, 2.0, None, math.nan]
    others = [1.0, math.nan, None, 3.0, 4.0, 5.0]
    assert _differing(pa.array(floats), pa.array(others)) == 3
    assert _differing(pa.array(["a", None]), pa.array([None, "a"])) == 2
    assert _differing(pa.array([], pa.int64()), pa.array([], pa.int64())) == 0


def test_a_built_in_name_is_not_free() -> None:
    from exporter_pipelines.transforms import transform_named

    [config] = dataset(
        transforms=[{"name": "level_aliases", "function": f"{OWN}.shout"}]
    ).config.transforms
    with pytest.raises(ConfigurationError, match="'level_aliases' is built in"):
        transform_named(config, LOGS)


def test_the_example_of_the_page_works_as_written(project: Project, backend: Backend) -> None:
    folder = project.path / "exporter_pipelines" / "defs" / "logs"
    (folder / "transforms.py").write_text(example("transforms.py"))
    project.edit(
        "logs", "  transforms:\n    - name: level_aliases", indented(example("transforms.yaml"))
    )
    backend.add_logs(DAY, 10)
    backend.run("UPDATE logs SET device = 'edge-01.example.net' WHERE id < 4")
    done = project.materialize("logs", partition=DAY)
    assert done.code == 0, done.stderr
    manifest = project.manifest("logs", DAY)
    assert manifest
    assert manifest.data_quality_metrics["changed.without_domain"] == 3
    assert manifest.transformations[1].version == 2


# Filters


def stays(values: list[Any], op: str, value: Any = None, column: str = "message") -> list[bool]:
    """Which of some values of a column stay."""
    types = {"id": pa.int64(), "message": pa.string(), "timestamp": pa.timestamp("us", "UTC")}
    batch = pa.record_batch({column: pa.array(values, types.get(column, pa.float64()))})
    config = FilterConfig(name="some", column=column, op=op, value=value)  # type: ignore[arg-type]
    schema = LOGS
    if column == "score":
        schema = load_row_schema("exporter_pipelines.defs.anomalies.schema.AnomalyRow")
    kept: list[bool] = RowFilter(config, schema).matches(batch).to_pylist()
    return kept


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("eq", "b", [False, True, False, False]),
        ("ne", "b", [True, False, True, False]),
        ("lt", "b", [True, False, False, False]),
        ("le", "b", [True, True, False, False]),
        ("gt", "b", [False, False, True, False]),
        ("ge", "b", [False, True, True, False]),
        ("in", ["b", "bc"], [False, True, True, False]),
        ("not_in", ["b"], [True, False, True, False]),
        ("is_null", None, [False, False, False, True]),
        ("not_null", None, [True, True, True, False]),
        ("contains", "c", [False, False, True, False]),
        ("starts_with", "b", [False, True, True, False]),
    ],
)
def test_operators_and_nulls(op: str, value: Any, expected: list[bool]) -> None:
    assert stays(["a", "b", "bc", None], op, value) == expected


def test_a_pattern_is_text() -> None:
    assert stays(["50%", "5_", "5.", "a.*"], "contains", ".*") == [False, False, False, True]


def test_values_are_of_the_type_of_the_column() -> None:
    import datetime as dt

    noon = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
    assert stays([noon], "eq", "2026-11-01T13:00:00+01:00", "timestamp") == [True]
    assert stays([noon], "gt", noon, "timestamp") == [False]
    assert stays([0.5, math.nan, math.inf], "ge", 0, "score") == [True, False, True]
    assert stays([1, 2], "in", [2, "1"], "id") == [True, True]


@pytest.mark.parametrize(
    ("column", "op", "value", "said"),
    [
        ("nope", "eq", 1, r"'nope' does not exist \(there are: id,"),
        ("id", "eq", "x", "'x' is not a value of 'id'"),
        ("id", "eq", True, "True is not a value"),
        ("id", "eq", 1.5, "1.5 is not a value"),
        ("level", "eq", None, "None is not a value of 'level'"),
        ("level", "eq", ["a"], "not a value of 'level'"),
        ("level", "in", "ERROR", "in takes a list"),
        ("level", "in", [], "in takes a list"),
        ("level", "in", ["ERROR", 3], "3 is not a value of 'level'"),
        ("level", "is_null", True, "is_null takes no value"),
        ("id", "contains", "1", "contains is for text"),
        ("timestamp", "lt", "2026-11-01T12:00:00", "Write a time as 2026"),
        ("timestamp", "lt", "noon", "'noon' is not a value of 'timestamp'"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(column: str, op: str, value: Any, said: str) -> None:
    config = FilterConfig(name="some", column=column, op=op, value=value)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=said) as refused:
        RowFilter(config, LOGS, bound=True)
    assert "'some'" in str(refused.value)


@pytest.mark.parametrize("batch_rows", [1, 4, 50_000])
def test_filtered_rows_are_counted_by_the_first_filter_that_leaves_them_out(
    backend: Backend, store: LocalStore, batch_rows: int
) -> None:
    backend.add_logs(DAY, 10)
    backend.run(
        "UPDATE logs SET level = 'fatal' WHERE id > 4; UPDATE logs SET ip = 'h' WHERE id = 9"
    )
    backend.run("UPDATE logs SET level = NULL WHERE id = 10")
    filters = [
        {"name": "severe", "column": "level", "op": "in", "value": ["CRITICAL"]},
        {"name": "late", "column": "id", "op": "ge", "value": 4},
        {"name": "not_six", "column": "id", "op": "ne", "value": 6},
    ]
    manifest = export(backend.url, dataset(filters=filters), DAY, store, batch_rows=batch_rows)
    counts = {"read": 10, "exported": 3, "rejected": 1, "filtered": 6}
    assert manifest.counts.model_dump() == counts
    assert [row["id"] for row in rows(store, manifest)] == [5, 7, 8]
    assert [row["id"] for row in rejected(store, manifest)] == [9]
    metrics = manifest.data_quality_metrics
    names = ("severe", "late", "not_six")
    assert [metrics[f"filtered.{name}"] for name in names] == [5, 0, 1]
    assert (metrics["completeness_pct.level"], metrics["rows_unaccounted"]) == (100, 0)


def test_a_row_whose_value_could_not_be_read_is_rejected_and_not_filtered(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 4)
    backend.run("UPDATE logs SET level = repeat('E', 30) WHERE id = 2")
    backend.run("UPDATE logs SET message = repeat('m', 30) WHERE id = 3")
    severe = {"name": "severe", "column": "level", "op": "eq", "value": "ERROR"}
    manifest = export(backend.url, dataset(filters=[severe], max_value_bytes=20), DAY, store)
    assert [row["id"] for row in rejected(store, manifest)] == [2]
    assert (manifest.counts.exported, manifest.counts.filtered) == (0, 3)


def test_an_identifier_is_filtered_as_the_table_has_it(backend: Backend, store: LocalStore) -> None:
    mine = {"name": "mine", "column": "id", "op": "in"}
    backend.add_logs(DAY, 4)
    manifest = export(backend.url, dataset(filters=[{**mine, "value": ["2", 3]}]), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == [2, 3]
    key = str(uuid.UUID(int=2))
    by_uuid = dataset(filters=[{**mine, "value": [key]}])
    with pytest.raises(ConfigurationError, match=f"'{key}' is not a value of 'id' .int64"):
        export(backend.url, by_uuid, DAY, store)
    backend.run("ALTER TABLE logs ALTER id TYPE uuid USING lpad(to_hex(id), 32, '0')::uuid")
    manifest = export(backend.url, by_uuid, DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == [key]


def test_a_row_that_a_filter_leaves_out_breaks_no_rule(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 6)
    backend.run("UPDATE logs SET level = 'ERROR', message = repeat('m', 30) WHERE id IN (3, 6)")
    backend.run("UPDATE logs SET ip = 'host' WHERE id IN (1, 6)")
    severe = {"name": "severe", "column": "level", "op": "eq", "value": "ERROR"}
    own = dataset(filters=[severe], rules=[{"name": "never", "sql": "id = 3"}], max_value_bytes=20)
    manifest = export(backend.url, own, DAY, store)
    assert manifest.counts.model_dump() == {"read": 6, "exported": 0, "rejected": 2, "filtered": 4}
    assert {
        row["id"]: {reason["rule"] for reason in row["rejections"]}
        for row in rejected(store, manifest)
    } == {3: {"value_too_large"}, 6: {"value_too_large", "never", "valid_address"}}
    assert {r.rule: r.failed for r in manifest.validation.rules if r.failed} == {
        "value_too_large": 2, "never": 1, "valid_address": 1,
    }  # fmt: skip
