"""A SQLite file as it is on disk, without opening it as a database.

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
        OSError: it cannot be read.
        sqlite3.DatabaseError: it is no SQLite file. An empty file is one without tables.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if header and not header.startswith(_MAGIC):
        raise sqlite3.DatabaseError("file is not a database")
    return header[_READ_VERSION_AT - 1 : _READ_VERSION_AT] == _WAL_VERSION


def wal_of(path: Path) -> Path:
    """The file that holds what was committed last, while an application uses WAL mode."""
    return path.with_name(f"{path.name}-wal")


def shm_of(path: Path) -> Path:
    """The file through which the users of a WAL share it."""
    return path.with_name(f"{path.name}-shm")


def read_only_uri(path: Path, *, immutable: bool = False) -> str:
    """A URI that never writes to the file.

    Args:
        path: Of the file.
        immutable: Also creates no file beside it, and takes no lock; for a file that nobody uses.
    """
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
