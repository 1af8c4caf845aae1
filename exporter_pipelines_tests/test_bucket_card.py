"""The code in the card of a dataset in a bucket loads the export with every reader."""

from __future__ import annotations

import json
import re
from pathlib import Path

import dagster as dg
import pytest

from exporter_pipelines import api
from exporter_pipelines.orchestration.exports.metadata import day_metadata
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.card_readers import Found, Job, run_jobs
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.hostile_columns import (
    COLUMNS,
    DAYS,
    JSON,
    hostile_database,
    hostile_dataset,
    rows_as_text,
)
from exporter_pipelines_tests.support.object_servers import ObjectServer

READERS = ("pandas", "polars", "duckdb", "pyarrow", "datasets")
FORMATS = {"jsonl": "gzip", "json": "zstd", "csv": "gzip", "parquet": "zstd"}


def load_all(server: ObjectServer, scratch: Path) -> dict[tuple[str, str], Found]:
    """(format, reader) -> what the code in the card gives."""
    store, jobs = open_store(), {}
    source = hostile_database(scratch)
    for format_, compression in FORMATS.items():
        name = f"of_{format_}"
        for day in DAYS:
            export(source.url, hostile_dataset(name, format_, compression), day, store)
        card = (store.read_dataset_file(name, "README.md") or b"").decode()
        blocks = re.findall(r"^With (\w+):\n\n```python\n(.*?)\n```", card, re.S | re.M)
        assert [reader for reader, _ in blocks] == list(READERS)
        for reader, code in blocks:
            assert server.url in code
            jobs[format_, reader] = Job("/", name, code)
    found = run_jobs(list(jobs.values()), scratch / "huggingface")
    return dict(zip(jobs, found, strict=True))


def test_every_reader_gives_the_exported_columns_and_values(
    s3: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3.settings, "AWS_ENDPOINT_URL": s3.endpoint}.items():
        monkeypatch.setenv(name, value)
    for case, found in load_all(s3, tmp_path).items():
        assert (found.error, found.columns) == ("", COLUMNS), case
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        rows.sort(key=lambda row: int(row["id"] or 0))
        for got, expected in zip(rows, rows_as_text(4), strict=True):
            for column in COLUMNS:
                pair = got[column], expected[column]
                if column in JSON:
                    pair = json.loads(pair[0] or "null"), json.loads(pair[1] or "null")
                assert pair[0] == pair[1], (case, column)


def test_without_a_view_the_card_and_the_metadata_name_no_file_of_a_glob(
    settings: dict[str, str], s3: ObjectServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3.settings, "EXPORTER_OUTPUT_VIEW": "none"}.items():
        monkeypatch.setenv(name, value)
    backend.add_logs(DAYS[0], 5)
    manifest = export(backend.url, dataset(), DAYS[0], store := open_store())
    card = (store.read_dataset_file("logs", "README.md") or b"").decode()
    assert "no pattern finds them" in card
    assert "glob" not in card
    metadata = day_metadata(manifest, store)
    assert metadata["data_file"] == manifest.files[0].path
    pointer = f"{s3.url}/logs/manifests/date={DAYS[0]}.json"
    assert metadata["manifest"] == dg.MetadataValue.url(pointer)
    assert api.open_days("logs", DAYS[0]).read_all().num_rows == 5
