"""DuckDB, limited in memory, with its temporary files in the folder of the build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from exporter_pipelines.errors import ExporterError, OutputUnavailableError, printable

MEMORY_LIMIT = "192MB"
"""With 128 MB, DuckDB gave up at 5 million rows. It exceeds the limit by up to a half, and the rest
of a build takes 180 MB."""


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
    try:
        with duckdb.connect(
            folder / "work.duckdb",
            config={
                "memory_limit": MEMORY_LIMIT,
                "threads": threads,
                "temp_directory": str(folder / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        ) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except duckdb.IOException as error:
        raise OutputUnavailableError(
            f"The work files in {folder} cannot be written: {printable(str(error))[:300]}",
            "Free space on that disk.",
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise TrainingSetError(
            f"DuckDB needs more than {MEMORY_LIMIT}: {printable(str(error))[:300]}",
            "Use fewer days, or a smaller window.",
        ) from error
