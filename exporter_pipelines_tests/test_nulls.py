"""Manifest, schema files, card and `load` state the nulls that were written; verify checks it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, ColumnSchema, Manifest, sealed_json
from exporter_pipelines.engine import whole_dataset
from exporter_pipelines.engine.load import open_day, open_days
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.test_card import blocks

DAY, NEXT, THIRD = "2026-11-01", "2026-11-02", "2026-11-03"
NOT_ENFORCED: dict[str, dict[str, Any]] = {
    "ignored": {"thresholds": {"score_in_range": "ignore"}},
    "basic": {"validation": "basic"},
}


def anomalies(**changes: Any) -> Dataset:
    return dataset("anomalies", **{"compression": "none", **NOT_ENFORCED["ignored"], **changes})


def add(backend: Backend, day: str, first_id: int, score: str, details: str = '{"a": 1}') -> None:
    """Two rows, the first of which has this score and these details."""
    for number, (each, text) in enumerate([(score, details), ("0.5", '{"a": 1}')]):
        backend.run(
            "INSERT INTO anomalies VALUES (%s, %s, 'spike', %s, NULL, NULL, NULL, NULL, %s)",
            [first_id + number, f"{day}T01:00Z", each, text],
        )


@pytest.fixture
def three_days(backend: Backend) -> Backend:
    """A score that is no number on the second day, and a JSON `null` on the third."""
    add(backend, DAY, 1, "0.1")
    add(backend, NEXT, 11, "NaN")
    add(backend, THIRD, 21, "0.1", details="null")
    return backend


def column(manifest: Manifest, name: str) -> ColumnSchema:
    return next(each for each in manifest.columns if each.name == name)


def stored_schema(store: LocalStore) -> pa.Schema:
    return pa.ipc.read_schema(pa.OSFile(str(store.home("anomalies") / "schema.arrow")))


def nullable(store: LocalStore) -> set[str]:
    """Of the columns in which the schema forbids null."""
    required = {c.name for c in anomalies().schema.columns if not c.nullable}
    return {field.name for field in stored_schema(store) if field.nullable} & required


def kinds(store: LocalStore, *days: str) -> set[tuple[str, str]]:
    reports = [verify_day(store, "anomalies", day)[0] for day in days]
    return {(finding.kind, finding.level) for r in reports for finding in r.findings}


@pytest.mark.parametrize("rules", NOT_ENFORCED)
@pytest.mark.parametrize("format_", FORMATS)
def test_nulls_are_stated_as_they_were_written(
    three_days: Backend, store: LocalStore, format_: str, rules: str
) -> None:
    exported = anomalies(format=format_, **NOT_ENFORCED[rules])
    manifests = [export(three_days.url, exported, day, store) for day in (DAY, NEXT, THIRD)]
    has_null = FORMATS[format_].holds_json  # the others store NaN, and `null` as text
    stated = [
        (column(m, name).nullable, column(m, name).null_count)
        for m, name in zip(manifests, ("score", "score", "details"), strict=True)
    ]
    assert stated == [(False, 0), (has_null, int(has_null)), (has_null, int(has_null))]
    assert manifests[1].data_quality_metrics["completeness_pct.score"] == 100 - 50 * has_null
    assert nullable(store) == ({"score", "details"} if has_null else set())
    card = (store.home("anomalies") / "README.md").read_text()
    assert f"| `score` | double | {'yes' if has_null else 'no'} |" in card
    assert open_day(store, "anomalies", NEXT).read_all()["score"].null_count == has_null
    table = open_days(store, "anomalies", [DAY, NEXT, THIRD]).read_all()
    table.validate(full=True)
    assert table.num_rows == 6
    assert [table.schema.field(n).nullable for n in ("score", "details")] == [has_null] * 2
    assert kinds(store, DAY, NEXT, THIRD) == set()


def test_the_code_of_the_card_loads_nulls_in_required_columns(
    three_days: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (DAY, NEXT, THIRD):
        export(three_days.url, anomalies(select=["id", "timestamp", "score"]), day, store)
    code = blocks((store.home("anomalies") / "README.md").read_text())["pyarrow"]
    monkeypatch.chdir(store.root)
    names: dict[str, Any] = {}
    exec(code, names)
    table = names["anomalies"]
    table.validate(full=True)
    assert table["score"].to_pylist() == [0.1, 0.5, None, 0.5, 0.1, 0.5]
    schema = json.loads((store.home("anomalies") / "schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for file in store.home("anomalies").glob("data/*/*.jsonl"):
        for line in file.read_text().splitlines():
            validator.validate(json.loads(line))


def test_the_schema_files_describe_all_published_days_together(
    three_days: Backend, store: LocalStore
) -> None:
    for day, expected in ((THIRD, {"details"}), (NEXT, {"details", "score"})):
        export(three_days.url, anomalies(), day, store)
        assert nullable(store) == expected
    export(three_days.url, anomalies(), DAY, store)
    assert nullable(store) == {"details", "score"}
    (store.home("anomalies") / "schema.arrow").unlink()  # found again in the manifests
    export(three_days.url, anomalies(), DAY, store)
    assert nullable(store) == {"details", "score"}
    three_days.run("UPDATE anomalies SET score = 0.2 WHERE id = 11")
    export(three_days.url, anomalies(), NEXT, store)
    assert nullable(store) == {"details"}


def test_a_day_that_lacks_a_column_makes_it_nullable(
    three_days: Backend, store: LocalStore
) -> None:
    export(three_days.url, anomalies(select=["id", "timestamp", "type"]), DAY, store)
    export(three_days.url, anomalies(select=["id", "timestamp", "type", "score"]), THIRD, store)
    assert [field.nullable for field in stored_schema(store)] == [False, False, False, True]


def test_two_runs_at_the_same_time_both_widen_the_schema(
    three_days: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(three_days.url, anomalies(), DAY, store)
    both, stored_nullable = threading.Barrier(2), whole_dataset.stored_nullable

    def slow(*arguments: Any) -> set[str] | None:
        found = stored_nullable(*arguments)
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)  # until the other run has read the same
        return found

    monkeypatch.setattr(whole_dataset, "stored_nullable", slow)
    with ThreadPoolExecutor() as pool:
        [*pool.map(lambda day: export(three_days.url, anomalies(), day, store), (NEXT, THIRD))]
    assert nullable(store) == {"score", "details"}


@pytest.mark.parametrize("format_", FORMATS)
def test_days_that_allowed_null_and_days_that_did_not_are_read_together(
    three_days: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    three_days.run("UPDATE anomalies SET type = NULL WHERE id = 1")
    export(three_days.url, anomalies(format=format_, nullable=["type"]), DAY, store)
    export(three_days.url, anomalies(format=format_), THIRD, store)
    assert "type" in nullable(store)
    monkeypatch.chdir(store.root)
    names: dict[str, Any] = {}
    tables = [open_days(store, "anomalies", [THIRD, DAY]).read_all()]
    code = blocks((store.home("anomalies") / "README.md").read_text())
    if "pyarrow" in code:  # a format may give no code
        exec(code["pyarrow"], names)
        tables.append(names["anomalies"])
    for table in tables:
        table.validate(full=True)
        assert sorted(table["type"].to_pylist(), key=str) == [None, "spike", "spike", "spike"]


@pytest.fixture
def damaged(three_days: Backend, store: LocalStore) -> Path:
    """The manifest of a published day with a null in a required column."""
    export(three_days.url, anomalies(), NEXT, store)
    assert kinds(store, NEXT) == set()
    return store.day_folder("anomalies", NEXT) / MANIFEST_NAME


def rewrite(path: Path, **changes: Any) -> None:
    """State something else of the column `score`; a change to None removes it."""
    document = json.loads(path.read_text())
    [score] = [each for each in document["schema"] if each["name"] == "score"]
    score |= changes
    for name in [name for name, value in changes.items() if value is None]:
        del score[name]
    path.write_bytes(sealed_json(document))


def test_verify_finds_a_null_that_the_manifest_denies(store: LocalStore, damaged: Path) -> None:
    rewrite(damaged, nullable=False)
    assert kinds(store, NEXT) == {("manifest_wrong", "FAIL")}
    rewrite(damaged, null_count=0)
    assert kinds(store, NEXT) == {("manifest_wrong", "FAIL")}  # completeness_pct
    document = json.loads(damaged.read_text())
    document["data_quality_metrics"]["completeness_pct.score"] = 100.0
    damaged.write_bytes(sealed_json(document))
    assert kinds(store, NEXT) == {("nulls_differ", "FAIL")}


def test_a_manifest_without_counts_is_read_as_it_was_meant(
    store: LocalStore, damaged: Path
) -> None:
    rewrite(damaged, nullable=False, null_count=None)
    assert kinds(store, NEXT) == {("nulls_differ", "warn")}
    table = open_day(store, "anomalies", NEXT).read_all()
    table.validate(full=True)
    assert table.schema.field("score").nullable


def test_verify_finds_a_schema_file_that_denies_a_null(store: LocalStore, damaged: Path) -> None:
    path = store.home("anomalies") / "schema.arrow"
    narrow = [f.with_nullable(f.nullable and f.name != "score") for f in stored_schema(store)]
    path.write_bytes(pa.schema(narrow).serialize())
    assert kinds(store, NEXT) == {("schema_differs", "FAIL")}
    path.unlink()
    assert kinds(store, NEXT) == set()


@pytest.mark.parametrize("text", ["null", "  null ", "\tnull"])
def test_a_json_null_with_spaces_is_a_null_as_well(
    backend: Backend, store: LocalStore, text: str
) -> None:
    backend.run("ALTER TABLE anomalies ALTER details TYPE json USING details::text::json")
    add(backend, DAY, 1, "0.1", details=text)
    manifest = export(backend.url, anomalies(), DAY, store)
    assert column(manifest, "details").null_count == 1
    assert manifest.data_quality_metrics["changed.json_null_to_null"] == 1
    assert kinds(store, DAY) == set()
