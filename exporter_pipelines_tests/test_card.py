"""The files next to `data/` load the export with every reader, as the generated card says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import chain, count, product
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from exporter_pipelines.engine.load import open_days
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.card_readers import Found, Job, run_jobs
from exporter_pipelines_tests.support.databases import SqliteDatabase
from exporter_pipelines_tests.support.datasets import dataset, export, rows
from exporter_pipelines_tests.support.hostile_columns import (
    COLUMNS,
    DAYS,
    JSON,
    hostile_database,
    hostile_dataset,
    rows_as_text,
)

FOUR_DAYS = (*DAYS, "2026-11-03", "2026-11-04")
READERS = ("pandas", "polars", "duckdb", "pyarrow", "datasets")

NAMES = [
    "class", "csv", "json", "parquet", "pd", "pa", "glob", "table", "schema", "rows", "datasets",
    "name",
]  # fmt: skip
"""Names of datasets that are words of Python, of a reader, or of the code itself."""
WITH_CODE = [name for name, class_ in FORMATS.items() if "loading_code" in vars(class_)]
COMBINATIONS = dict(
    zip(
        chain(NAMES, (f"another_{n}" for n in count())),
        product(WITH_CODE, COMPRESSIONS),
        strict=False,
    )
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabase:
    return hostile_database(tmp_path_factory.mktemp("hostile"))


@dataclass(frozen=True)
class Loaded:
    """What the cards say at each stage, and what their code loads.

    Attributes:
        cards: (stage, dataset) -> card.
        found: (stage, dataset, reader) -> what the reader gives.
    """

    cards: dict[tuple[str, str], str]
    found: dict[tuple[str, str, str], Found]


GZIPPED = [name for name, (_, compression) in COMBINATIONS.items() if compression == "gzip"]
STAGES = {"empty day": DAYS[:0], "one day": DAYS[:1], "two days": DAYS}
LATER_ADDED, LATER_REMOVED = {"1st", "int?", JSON[0]}, {"a.b.c"}
BEFORE = [name for name in reversed(COLUMNS) if name not in LATER_ADDED]
AFTER = [name for name in COLUMNS if name not in LATER_REMOVED]
PLAIN = ["id", "timestamp", "filename", "file_row_number", "index", "modified_at"]


@pytest.fixture(scope="module")
def loaded(hostile: SqliteDatabase, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """All formats, compressions and stages, loaded with all readers in one process."""
    cards, jobs = {}, {}

    def add(stage: str, name: str, *exports: tuple[str, dict[str, Any]]) -> None:
        store = LocalStore(folder / stage)
        for day, changes in exports:
            export(hostile.url, hostile_dataset(name, *COMBINATIONS[name], **changes), day, store)
        card = cards[stage, name] = (store.home(name) / "README.md").read_text()
        for reader, code in blocks(card).items():
            variable = f"{name}_" if name == "class" else name
            jobs[stage, name, reader] = Job(str(store.root), variable, code)

    # The readers must not take the path of the output folder for a pattern.
    folder = tmp_path_factory.mktemp("it's [1] 'a' {b} *?")
    for name in COMBINATIONS:
        for stage, days in STAGES.items():
            add(stage, name, *((day, {}) for day in ("2026-10-31", *days)))
    for name in GZIPPED:
        add("other columns", name, (DAYS[1], {"select": BEFORE}), (DAYS[0], {"select": AFTER}))
        add("plain names", name, *((day, {"select": PLAIN}) for day in DAYS))
    store = LocalStore(tmp_path_factory.mktemp("hub"))  # without characters of a pattern
    for day in DAYS:
        export(hostile.url, hostile_dataset("csv", "parquet", "zstd"), day, store)
    code = 'import datasets\ncsv = datasets.load_dataset("./csv", split="train")'
    jobs["two days", "csv", "load_dataset"] = Job(str(store.root), "csv", code)
    found = run_jobs(list(jobs.values()), tmp_path_factory.mktemp("huggingface"))
    return Loaded(cards, dict(zip(jobs, found, strict=True)))


def blocks(card: str) -> dict[str, str]:
    return dict(
        re.findall(r"^With (\w+):\n\n```python\n(.*?)\n```", card, re.DOTALL | re.MULTILINE)
    )


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("stage", ["one day", "two days"])
def test_every_reader_gives_the_exported_columns_and_values(
    loaded: Loaded, stage: str, name: str, reader: str
) -> None:
    found = loaded.found[stage, name, reader]
    assert found.error == ""
    assert found.columns == COLUMNS
    got = sorted((dict(zip(found.columns, row, strict=True)) for row in found.rows), key=by_id)
    for row, expected in zip(got, rows_as_text(1 if stage == "one day" else 4), strict=True):
        assert {c: v for c, v in row.items() if c not in JSON} == {
            c: v for c, v in expected.items() if c not in JSON
        }
        for column in JSON:
            assert json.loads(row[column] or "null") == json.loads(expected[column] or "null")


def test_hugging_face_finds_the_files_of_parquet_by_the_header_of_the_card(loaded: Loaded) -> None:
    found = loaded.found["two days", "csv", "load_dataset"]
    assert (found.error, found.columns) == ("", COLUMNS)
    expected = [[row[column] for column in COLUMNS] for row in rows_as_text(4)]
    assert sorted(found.rows, key=lambda row: str(row[0])) == expected


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", GZIPPED)
def test_every_reader_loads_plain_columns(loaded: Loaded, name: str, reader: str) -> None:
    found = loaded.found["plain names", name, reader]
    assert (found.error, found.columns) == ("", PLAIN)
    expected = [[row[column] for column in PLAIN] for row in rows_as_text(4)]
    assert sorted(found.rows, key=lambda row: str(row[0])) == expected


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", GZIPPED)
def test_every_reader_gives_the_columns_of_now_for_older_days(
    loaded: Loaded, name: str, reader: str
) -> None:
    found = loaded.found["other columns", name, reader]
    assert found.error == ""
    assert found.columns == AFTER
    got = sorted((dict(zip(found.columns, row, strict=True)) for row in found.rows), key=by_id)
    plain = [each for each in AFTER if each not in JSON]
    for row, expected in zip(got, rows_as_text(4), strict=True):
        expected |= dict.fromkeys(LATER_ADDED)
        assert {column: row[column] for column in plain} == {c: expected[c] for c in plain}
        assert row[JSON[0]] in (None, "null")


def by_id(row: dict[str, Any]) -> int:
    return int(row["id"])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_card_of_empty_days_says_that_there_is_nothing_to_load(loaded: Loaded, name: str) -> None:
    card = loaded.cards["empty day", name]
    assert "No published day has rows in this format yet" in card
    assert blocks(card) == {}


@pytest.fixture
def two_days(backend: Backend) -> Backend:
    """Logs whose first day has nothing but nulls in the JSON column."""
    backend.add_logs(DAYS[0], 3, first_id=9007199254740993, attributes=None)
    backend.add_logs(DAYS[1], 2, first_id=9007199254741993, attributes='{"a": [1, {"b": null}]}')
    backend.run("UPDATE logs SET attributes = '[\"x\"]', message = '007' WHERE id % 2 = 0")
    backend.run("UPDATE logs SET attributes = NULL WHERE timestamp < '2026-11-02'")
    return backend


def test_rows_fit_the_published_schemas(two_days: Backend, store: LocalStore) -> None:
    manifests = [export(two_days.url, dataset(), day, store) for day in DAYS]
    folder = store.root / "logs"
    schema = json.loads((folder / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for manifest in manifests:
        for row in rows(store, manifest):
            jsonschema.validate(row, schema)
    arrow = pa.ipc.read_schema(pa.OSFile(str(folder / "schema.arrow")))
    assert arrow == dataset().schema.arrow


def test_files_beside_data_are_written_once(two_days: Backend, store: LocalStore) -> None:
    export(two_days.url, dataset(), DAYS[0], store)
    home = store.root / "logs"
    files = sorted(file for file in home.iterdir() if file.is_file())
    assert files.pop(1) == home / "_changes.jsonl"  # has a line for each change of a day
    assert [file.name for file in files] == [
        "README.md",
        "croissant.json",
        "schema.arrow",
        "schema.json",
    ]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o640}
    before = [file.stat().st_ino for file in files]
    export(two_days.url, dataset(), DAYS[1], store)
    assert [file.stat().st_ino for file in files] == before
    export(two_days.url, dataset(compression="zstd"), DAYS[1], store)
    assert [file.stat().st_ino for file in files][2:] == before[2:]
    assert ".jsonl.zst" in files[0].read_text()


def test_the_card_names_the_days_in_another_format(backend: Backend, store: LocalStore) -> None:
    for number, day in enumerate(FOUR_DAYS):
        backend.add_logs(day, 5, first_id=100 * number)

    def card_after(day: str, **changes: str) -> str:
        export(backend.url, dataset(**changes), day, store)
        return (store.home("logs") / "README.md").read_text()

    for day in FOUR_DAYS:
        assert "another format" not in card_after(day)
    changed = {"format": "parquet", "compression": "zstd"}
    assert "- 2026-11-02 to 2026-11-04: `*.jsonl.gz`\n" in card_after(FOUR_DAYS[0], **changed)
    card = card_after(FOUR_DAYS[2], **changed)
    assert "- 2026-11-02 to 2026-11-02: `*.jsonl.gz`\n- 2026-11-04 to 2026-11-04:" in card
    assert 'open_days("logs", first, last)' in card
    (store.home("logs") / "README.md").unlink()
    assert card_after(FOUR_DAYS[2], **changed) == card
    assert "- 2026-11-04 to 2026-11-04" in card_after(FOUR_DAYS[1], **changed)
    assert "another format" not in card_after(FOUR_DAYS[3], **changed)
    read = open_days(store, "logs", list(FOUR_DAYS)).read_all()
    assert read.num_rows == 20


def test_the_code_goes_with_the_last_rows_and_comes_back(
    backend: Backend, store: LocalStore
) -> None:
    def has_code_after(day: str, **options: Any) -> bool:
        export(backend.url, dataset(max_file_records=2), day, store, **options)
        card = (store.home("logs") / "README.md").read_text()
        assert "another format" not in card  # a file of a part has another name
        return bool(blocks(card))

    backend.add_logs(DAYS[0], 5)
    assert [has_code_after(day) for day in DAYS] == [True, True]
    backend.run("DELETE FROM logs")
    assert not has_code_after(DAYS[0], accept_loss=True)
    assert not has_code_after(DAYS[1])
    backend.add_logs(DAYS[1], 5)
    assert has_code_after(DAYS[1])
