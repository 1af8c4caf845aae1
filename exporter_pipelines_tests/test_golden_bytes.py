"""The bytes of a small day, as a checksum per format: they never change by accident.

A test fails here when the same rows give other bytes than in the release before. Then every
unchanged day that is exported again looks changed to everyone who compares checksums. When the
change is intended, say so in CHANGELOG.md and put the checksum of the failure message in its place.
An update of pyarrow, arro3 or isal may be the cause as well: look at the difference before you
accept it. Parquet names the version of its writer in the file, so its rows and layout are compared.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow.parquet as pq
import pytest

from exporter_pipelines.formats import FORMATS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rejected

DAY = "2026-11-01"
REJECTED = "f11b8080c4ff98572195706daa846c6dc219842f443af8205aa90a410a6ed7af"
PARQUET = "84435a827982bbc44b251de1f8b809dc3be9fd80a49fa7ccc60a8cd22d969884"
ROWS = 6_000  # more than a slice of the encoder


@pytest.fixture
def day(backend: Backend) -> Backend:
    """Rows with gaps, other scripts, escapes, nested JSON, and some that are rejected."""
    backend.run(
        f"""INSERT INTO logs SELECT n, '{DAY}Z'::timestamptz + n * interval '14.000123 seconds',
        CASE WHEN n % 97 = 0 THEN 'odd' ELSE (array['info', 'WARN', '3', ' Fatal '])[1 + n % 4] END,
        CASE n % 3 WHEN 0 THEN E'a "quoted" \\\\ \\n\\t tab ' || n
        WHEN 1 THEN '=1+1 größer 漢字 ' || n
        ELSE repeat('x', n % 200) END,
        CASE WHEN n % 89 > 0 THEN 'app-' || n % 7 END,
        CASE WHEN n % 4 > 0 THEN 'edge-' || n % 5 END,
        CASE n % 5 WHEN 0 THEN '10.0.0.' || n % 300 WHEN 1 THEN '2001:db8::' || n
        WHEN 2 THEN '' END,
        CASE n % 3 WHEN 0 THEN jsonb_build_object('n', n, 'list',
        jsonb_build_array(1.50, 'x"}}', NULL))
        WHEN 1 THEN 'null'::jsonb END
        FROM generate_series(1, {ROWS}) n"""
    )
    return backend


def checksums(day: Backend, store: LocalStore, **changes: str) -> dict[str, str]:
    """Checksum of the data file and of the rejected rows of an export."""
    manifest = export(day.url, dataset(max_rejected_pct=100, **changes), DAY, store)
    [file] = manifest.files
    assert manifest.counts.read == ROWS
    data = (store.day_folder("logs", DAY) / file.path).read_bytes()
    if file.format == "json":  # the head holds the configuration, which may have new settings
        data = data.partition(b"\n")[2]
    lines = repr(rejected(store, manifest)).encode()
    return {"data": hashlib.sha256(data).hexdigest(), "rejected": hashlib.sha256(lines).hexdigest()}


BYTES = (
    ("jsonl", "none", "2aa0912fd66eb96a6a81459a820586b3e086d3f83cb414259c005f35d0570506"),
    ("jsonl", "gzip", "db69c0c5b1f4947e35a0bebc852f82d5a1b143e0d5f20b14de2a6bc46e653f74"),
    ("json", "none", "0a5ddddcb9fe2b295838280e11bc74b786747a289940a0ff26a4b36c8e091dbe"),
    ("csv", "none", "f5510066d0658b710cc277081b13b98c22c9881490345e3217b4d9031a75b302"),
)


@pytest.mark.parametrize(("format_", "compression", "sha256"), BYTES)
def test_bytes_are_those_of_the_release_before(
    day: Backend, store: LocalStore, format_: str, compression: str, sha256: str
) -> None:
    found = checksums(day, store, format=format_, compression=compression)
    assert found == {"data": sha256, "rejected": REJECTED}


def test_parquet_has_the_rows_and_layout_of_the_release_before(
    day: Backend, store: LocalStore
) -> None:
    manifest = export(day.url, dataset(max_rejected_pct=100, format="parquet"), DAY, store)
    [file] = manifest.files
    table = pq.read_table(store.day_folder("logs", DAY) / file.path, partitioning=None)
    layout = pq.read_metadata(store.day_folder("logs", DAY) / file.path)
    text = f"{table.schema} {layout.num_row_groups} {table.to_pylist()}"
    assert hashlib.sha256(text.encode()).hexdigest() == PARQUET


def test_every_format_has_its_bytes_here() -> None:
    assert {"parquet", *(format_ for format_, _, _ in BYTES)} == {*FORMATS}, "complete BYTES"


def test_settings_of_when_and_whether_change_no_byte(day: Backend, store: LocalStore) -> None:
    published = []
    variants: tuple[dict[str, Any], ...] = (
        {},
        {
            "description": "another",
            "owners": ["team:data"],
            "schedule": None,
            "max_rejected_rows": 7,
            "late_data": {"policy": "re-export"},
            "retention": {"keep_days": 9},
            "source": {"url": "ANOTHER", "retries": 0, "stall_timeout_s": 9, "answer_timeout_s": 9},
        },
        {"thresholds": {"known_level": "ignore"}},
    )
    for changes in variants:
        varied = dataset(max_rejected_pct=100, format="json", **changes)
        manifest = export(day.url, varied, DAY, store)
        published.append((manifest.data_version, manifest.files[0].sha256))
        assert manifest.export_config["schedule"] == varied.config.schedule
    assert published[0] == published[1] != published[2]
