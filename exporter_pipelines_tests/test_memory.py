"""Memory does not grow with the rows of a day.

Each export runs in a process of its own, whose peak the kernel keeps.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.backends import Backend, fresh_database
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.projects import ROOT

FEW, MANY = 80_000, 320_000
FEW_DAY, MANY_DAY = "2026-11-01", "2026-11-02"
LIMIT_MIB = 280
"""The goal is 256; 190 to 241 were measured, and a library's next version may take some more."""

PRIVATE_LIMIT_MIB = 460
"""301 (kept in memory) and 380 (read twice) were measured; there are 50,000 addresses."""


@pytest.fixture(scope="module")
def large(postgres_url: str, empty_tables: Backend) -> Iterator[Backend]:
    """A day of 80,000 and one of 320,000 rows of 300 bytes; 1 % of them are rejected.

    No test changes it.
    """
    with fresh_database(postgres_url, empty_tables) as backend:
        for day, count in ((FEW_DAY, FEW), (MANY_DAY, MANY)):
            backend.run(
                f"""INSERT INTO logs
                SELECT {count} + n, '{day}'::date + n * interval '1 day' / {count},
                CASE WHEN n % 100 = 0 THEN 'odd' ELSE 'INFO' END,
                'request ' || n || ' ' || repeat(md5(n::text), 4), 'app-' || n % 7,
                'edge-' || n % 50, '10.0.' || n % 200 || '.' || n % 250,
                CASE WHEN n % 5 < 2 THEN jsonb_build_object('n', n, 'path', md5(n::text)) END
                FROM generate_series(0, {count} - 1) n"""
            )
        yield backend


def peak_mib(action: str, backend: Backend, output: Path | str, day: str, rows: int) -> int:
    done = subprocess.run(
        [
            sys.executable, "-m", "exporter_pipelines_tests.support.peak_memory",
            action, backend.url, output, day,
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    exported, peak = map(int, done.stdout.split())
    assert exported == rows - rows // 100
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(large: Backend, tmp_path: Path) -> None:
    few = peak_mib("export", large, tmp_path, FEW_DAY, FEW)
    many = peak_mib("export", large, tmp_path, MANY_DAY, MANY)
    slow = peak_mib("slow", large, tmp_path, MANY_DAY, MANY)
    loaded_few = peak_mib("load", large, tmp_path, FEW_DAY, FEW)
    loaded_many = peak_mib("load", large, tmp_path, MANY_DAY, MANY)
    parquet = peak_mib("parquet", large, tmp_path, MANY_DAY, MANY)
    figures = f"{few=} {many=} {slow=} {parquet=} {loaded_few=} {loaded_many=} MiB"
    assert many < few * 1.2, figures
    assert slow < few * 1.2, figures  # a slow consumer makes nothing pile up before it
    assert loaded_many < loaded_few * 1.2, figures
    assert max(few, many, slow, parquet, loaded_few, loaded_many) < LIMIT_MIB, figures


@pytest.mark.slow
def test_an_export_to_a_bucket_has_two_parts_in_memory(
    large: Backend, tmp_path: Path, s3: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 110 MB. The client library takes 10 MiB, and more batches wait for the store."""
    part_mib, others_mib = 32, 40
    folder = peak_mib("plain", large, tmp_path, MANY_DAY, MANY)
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EXPORTER_OUTPUT_PART_MIB", str(part_mib))
    bucket = peak_mib("plain", large, s3.url, MANY_DAY, MANY)
    assert bucket < folder + 2 * part_mib + others_mib, f"{folder=} {bucket=} MiB"


@pytest.mark.slow
def test_memory_under_a_privacy_policy_has_a_limit(large: Backend, tmp_path: Path) -> None:
    """A day that is kept in memory while its names are read, and one that is read twice."""
    few = peak_mib("private", large, tmp_path, FEW_DAY, FEW)
    many = peak_mib("private", large, tmp_path, MANY_DAY, MANY)
    assert max(few, many) < PRIVATE_LIMIT_MIB, f"{few=} {many=} MiB"


@pytest.mark.slow
def test_a_message_of_100_mb_is_rejected_without_being_read(
    backend: Backend, tmp_path: Path
) -> None:
    backend.add_logs(FEW_DAY, 100)
    backend.run("UPDATE logs SET message = repeat('m', 100000000) WHERE id = 7")
    done = subprocess.run(
        [
            sys.executable, "-m", "exporter_pipelines_tests.support.peak_memory",
            "monster", backend.url, tmp_path, FEW_DAY,
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    exported, rejected, peak = map(int, done.stdout.split())
    assert (exported, rejected) == (99, 1)
    assert peak < LIMIT_MIB, f"{peak} MiB"
