"""The header and the paths of a SQLite file, without opening it as a database.

https://www.sqlite.org/fileformat2.html#the_database_header
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_READ_VERSION_AT = 19
_WAL_VERSION = b"\2"


def uses_wal(path: Path) -> bool:
    """Whether a file is in WAL mode.

    Raises:
        OSError: the file cannot be read.
        sqlite3.DatabaseError: it is not a SQLite file. An empty file is one, without tables.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if header and not header.startswith(_MAGIC):
        raise sqlite3.DatabaseError("file is not a database")
    return header[_READ_VERSION_AT - 1 : _READ_VERSION_AT] == _WAL_VERSION


def wal_of(path: Path) -> Path:
    """Path of the write-ahead log, which exists while an application has the file open."""
    return path.with_name(f"{path.name}-wal")


def shm_of(path: Path) -> Path:
    """Path of the shared memory of the write-ahead log."""
    return path.with_name(f"{path.name}-shm")


def has_log_alone(path: Path) -> bool:
    """Whether there is a write-ahead log without its shared memory.

    Its application crashed, or somebody copied the file: SQLite would create the shared memory.
    """
    return wal_of(path).exists() and not shm_of(path).exists()


def read_only_uri(path: Path, *, immutable: bool = False) -> str:
    """A URI that never writes to the file.

    Args:
        path: Of the file.
        immutable: Create no other file and take no lock; only for a file that no process uses.
    """
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
