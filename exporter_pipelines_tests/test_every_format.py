"""Every registered format is exported, published, verified and loaded."""

from __future__ import annotations

from typing import Any

import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.engine.load import open_days
from exporter_pipelines.formats import FORMATS, compression_of, format_named, suffix_of
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import databases, dataset, export

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]


@pytest.fixture
def three_days(backend: Backend) -> Backend:
    """Logs with nulls, other scripts and nested JSON, of which the second day has none."""
    backend.add_logs(DAYS[0], 40, first_id=9007199254740993, attributes=None)
    backend.add_logs(DAYS[2], 25, first_id=7, attributes='{"a": [1.50, {"b": null}, "x\\"}"]}')
    backend.run("UPDATE logs SET message = E'größer 漢字, \\n\\t\\\\' WHERE id > 9")
    backend.run("UPDATE logs SET attributes = NULL WHERE id < 10")
    return backend


def loaded(store: LocalStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = open_days(store, "logs", DAYS).read_all().to_pylist()
    return rows


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("max_file_records", [None, 10])
def test_a_format_is_published_verified_and_loaded(
    three_days: Backend, store: LocalStore, format_: str, max_file_records: int | None
) -> None:
    """With every compression, over the days as they were published before."""
    with databases(three_days.url) as session:

        def published(day: str, exported: Dataset, **options: Any) -> Manifest:
            return export(three_days.url, exported, day, store, session=session, **options)

        for day in DAYS:
            published(day, dataset())
        expected = loaded(store)
        assert len(expected) == 65
        for packed in COMPRESSIONS:
            exported = dataset(
                format=format_, compression=packed, max_file_records=max_file_records
            )
            for day in DAYS:
                manifest = published(day, exported, batch_rows=7)
                assert {file.format for file in manifest.files} <= {format_}
                suffix = suffix_of(format_, packed)
                assert all(file.path.endswith(suffix) for file in manifest.files)
                report, _ = verify_day(store, "logs", day, quick=False)
                assert not report.findings
            assert loaded(store) == expected, packed
            assert len(manifest.files) == (3 if max_file_records else 1)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("format_", FORMATS)
def test_the_end_of_a_name_says_how_a_file_is_packed(format_: str, compression: str) -> None:
    packed = "none" if format_named(format_).packs_itself else compression
    assert compression_of(f"logs-{DAYS[0]}{suffix_of(format_, compression)}").name == packed
