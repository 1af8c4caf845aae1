"""The versions that a SQLite database of Dagster states of its tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path


def stated_versions(database: Path) -> int:
    """How many they are; 0 if it cannot be read. Dagster opens no database that states several."""
    with suppress(sqlite3.Error):  # it does not exist, or is being created
        # Immutable: else SQLite makes files next to it, which belong to the user of this process.
        address = f"{database.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM alembic_version")
            return int(count)
    return 0
