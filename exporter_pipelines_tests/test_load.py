"""A published day read back: the rows as they were exported, or a clear refusal."""

from __future__ import annotations

import datetime as dt
import json
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.engine.load import open_day, read_manifest
from exporter_pipelines.errors import DayNotPublishedError, PublishedDayDamagedError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export

DAY = "2026-11-01"
LOGS = dataset()


@pytest.fixture
def published(backend: Backend, store: LocalStore) -> Manifest:
    """A day of 500 rows."""
    backend.add_logs(DAY, 500)
    return export(backend.url, LOGS, DAY, store)


def loaded(store: LocalStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_day(store, "logs", DAY).read_all().to_pylist()
    return rows


def two_documents() -> Dataset:
    """Logs whose `source` is a JSON document, too."""
    logs = dataset()
    columns = {"source": Column("source", pa.string(), nullable=False, required=True, is_json=True)}
    return replace(logs, schema=logs.schema.bound(columns))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_rows_come_back_as_the_database_has_them(
    backend: Backend, store: LocalStore, compression: str
) -> None:
    backend.add_logs(DAY, 200, message='Größe\n"x"\\ \u2028 \x01 😀, a\u0301', attributes=None)
    backend.run("UPDATE logs SET device = NULL, ip = NULL WHERE id % 3 = 0")
    backend.run("UPDATE logs SET id = id + 9223372036854775000 WHERE id % 5 = 0")
    export(backend.url, dataset(compression=compression), DAY, store)
    names = ("id", "timestamp", "level", "message", "source", "device", "ip", "attributes")
    expected = backend.run(f"SELECT {', '.join(names)} FROM logs ORDER BY timestamp, id")
    rows = [tuple(row.values()) for row in loaded(store)]
    assert [(*row[:1], row[1].astimezone(dt.UTC), *row[2:]) for row in expected] == rows


@pytest.mark.parametrize(
    "text",
    [
        "1e300",
        "18446744073709551615",
        "1." + "0" * 30,
        '{"a":{"b":[1,{"attributes":"},\\"source\\":"}]},"source":[]}',
        '" , \\" \\\\ \\u0000 "',
        "[[[[]]]]",
        '"😀 Größe"',
    ],
)
def test_json_text_comes_back_exactly(backend: Backend, store: LocalStore, text: str) -> None:
    backend.run("ALTER TABLE logs ALTER attributes TYPE json, ALTER source TYPE json USING '1'")
    backend.add_logs(DAY, 3, source="{}", attributes=None)
    backend.run("UPDATE logs SET attributes = %s, source = %s WHERE id = 2", [text, text])
    backend.run("UPDATE logs SET attributes = '[]' WHERE id = 3")
    export(backend.url, two_documents(), DAY, store)
    assert [(row["source"], row["attributes"]) for row in loaded(store)] == [
        ("{}", None),
        (text, text),
        ("{}", "[]"),
    ]


def test_the_schema_is_that_of_the_manifest(store: LocalStore, published: Manifest) -> None:
    schema = open_day(store, "logs", DAY).schema
    assert [field.name for field in schema] == [column.name for column in published.columns]
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")
    assert [field.name for field in schema if field.nullable] == ["device", "ip", "attributes"]


def test_a_day_is_read_in_the_columns_that_it_was_exported_with(
    backend: Backend, store: LocalStore
) -> None:
    backend.run("ALTER TABLE logs ALTER id TYPE text, DROP ip")
    backend.run("INSERT INTO logs VALUES ('a-1', '2026-11-01', 'INFO', 'm', 's', 'd', '[1]')")
    export(backend.url, LOGS, DAY, store)
    (row,) = loaded(store)  # what LOGS says of id and ip does not matter
    assert (row["id"], row["ip"], row["attributes"]) == ("a-1", None, "[1]")


def test_an_empty_day_is_an_empty_reader_with_every_column(
    backend: Backend, store: LocalStore
) -> None:
    export(backend.url, LOGS, DAY, store)
    reader = open_day(store, "logs", DAY)
    assert reader.schema.names == list(LOGS.schema.names)
    assert reader.read_all().num_rows == 0


def test_a_day_that_is_not_published_names_the_command(store: LocalStore) -> None:
    with pytest.raises(DayNotPublishedError) as error:
        open_day(store, "logs", DAY)
    assert str(error.value).endswith(f"exporter export logs {DAY}")


# --- damage ---


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, lengthen, empty, Path.unlink])
def test_a_damaged_file_is_refused_before_the_first_row(
    store: LocalStore, published: Manifest, damage: Callable[[Path], None]
) -> None:
    path = store.day_folder("logs", DAY) / published.files[0].path
    damage(path)
    with pytest.raises(PublishedDayDamagedError, match=path.name) as error:
        open_day(store, "logs", DAY)
    assert error.value.hint == "Export the day again."


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_damaged_manifest_is_refused(
    store: LocalStore, published: Manifest, damage: Callable[[Path], None]
) -> None:
    path = store.day_folder("logs", DAY) / MANIFEST_NAME
    path.write_bytes(path.read_bytes().rstrip())
    damage(path)
    for read in (open_day, read_manifest):
        with pytest.raises(PublishedDayDamagedError, match=rf"{DAY}: {MANIFEST_NAME} is not a"):
            read(store, "logs", DAY)


def test_a_manifest_that_does_not_add_up_says_what(store: LocalStore, published: Manifest) -> None:
    path = store.day_folder("logs", DAY) / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"record_count": 7}))
    with pytest.raises(PublishedDayDamagedError, match=r"record_count is not counts\.exported"):
        open_day(store, "logs", DAY)


# --- while it is read ---


def test_a_reader_outlives_the_replacement_of_its_day(
    backend: Backend, store: LocalStore, published: Manifest
) -> None:
    reader = open_day(store, "logs", DAY)
    backend.run("UPDATE logs SET message = 'changed'")
    for _ in range(2):
        export(backend.url, LOGS, DAY, store)
    assert set(reader.read_all()["message"].to_pylist()) == {"hello"}


def test_files_are_closed_whether_the_reader_is_read_or_not(
    store: LocalStore, published: Manifest
) -> None:
    before = open_descriptors()
    readers = [open_day(store, "logs", DAY) for _ in range(3)]
    assert open_descriptors() == before + 3
    readers[0].read_all()
    assert open_descriptors() == before + 2
    readers[1].read_next_batch()
    readers.clear()
    assert open_descriptors() == before


def test_a_refused_day_leaves_no_file_open(store: LocalStore, published: Manifest) -> None:
    cut(store.day_folder("logs", DAY) / published.files[0].path)
    before = open_descriptors()
    with pytest.raises(PublishedDayDamagedError):
        open_day(store, "logs", DAY)
    assert open_descriptors() == before


def test_a_day_may_have_more_parts_than_a_process_may_open(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 400)
    manifest = export(backend.url, dataset(max_file_records=1), DAY, store)
    assert len(manifest.files) == 400
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 120, hard))
    try:
        reader = open_day(store, "logs", DAY)
        export(backend.url, dataset(max_file_records=100), DAY, store)
        assert reader.read_all()["id"].to_pylist() == list(range(1, 401))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_descriptors() == before


def test_a_part_that_is_changed_after_it_was_verified_is_refused(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 100)
    manifest = export(backend.url, dataset(max_file_records=1), DAY, store)
    reader = open_day(store, "logs", DAY)
    flip(store.day_folder("logs", DAY) / manifest.files[-1].path)
    with pytest.raises(PublishedDayDamagedError, match="was changed while it was read"):
        reader.read_all()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_batches_are_bounded(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 20_000, message="m" * 1000)
    manifest = export(backend.url, LOGS, DAY, store)
    sizes = [batch.nbytes for batch in open_day(store, "logs", DAY)]
    assert sum(sizes) > 20_000_000
    assert max(sizes) < 6_000_000
    assert manifest.record_count == 20_000
