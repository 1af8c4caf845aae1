"""DuckDB, limited in memory, with its temporary files in the folder of the build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from exporter_pipelines.errors import ExporterError, OutputUnavailableError, printable

_LIMIT_MB, _PER_THREAD_MB = 64, 32
"""Enough for 20 million rows, since the build joins and compares them in parts. The rest of a build
takes 190 MB."""


class TrainingSetError(ExporterError):
    """A training set cannot be built from its inputs."""

    docs_anchor = "a-training-set-is-not-built"


@contextmanager
def open_engine(folder: Path, *, threads: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder, deleted together with the folder by its owner.

    The number of threads changes the speed, never the result.

    Raises:
        OutputUnavailableError: the disk is full.
        TrainingSetError: DuckDB failed, as with too little memory.
    """
    limit = f"{_LIMIT_MB + threads * _PER_THREAD_MB}MB"
    try:
        with duckdb.connect(
            folder / "work.duckdb",
            config={
                "memory_limit": limit,
                "threads": threads,
                "temp_directory": str(folder / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        ) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except (duckdb.IOException, OSError) as error:  # of DuckDB's files, and of those beside them
        raise OutputUnavailableError(
            f"The work files in {folder} cannot be written: {printable(str(error))[:300]}",
            "Free space on that disk.",
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise TrainingSetError(
            f"DuckDB needs more than {limit}: {printable(str(error).partition(chr(10))[0])[:300]}.",
            "Use fewer days, or a smaller window.",
        ) from error
