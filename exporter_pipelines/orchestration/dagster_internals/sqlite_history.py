"""Dagster's history in SQLite, as Dagster keeps it, at half the cost.

Named in dagster.yaml. Folders, databases and tables are those of `storage: sqlite`: either reads
what the other wrote. docs/decisions/0017-sqlite-engines-are-kept.md says why it exists.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool


class SqliteHistory(DagsterSqliteStorage):
    """`storage: sqlite`, but for the event log, which is a `KeptEngines`."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEngines(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> SqliteHistory:
        """As Dagster makes it from dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)


class KeptEngines(SqliteEventLogStorage):
    """Dagster's event log, but an SQLAlchemy engine is used again, not made for each statement.

    An engine remembers the statements that it compiled, and keeps a connection.
    """

    def store_event(self, event: EventLogEntry) -> None:
        """As Dagster does; the UI, which watches the file of a run, hears of it.

        What is written lies in the write-ahead log at first. Dagster's own moves it to the watched
        file each time, by closing the last connection, with several waits for the disk.
        """
        super().store_event(event)
        with suppress(FileNotFoundError):  # the history was deleted meanwhile
            os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """As Dagster says, whom each evaluation of a check asks; a table that is there stays."""
        known = _tables(self._engine(INDEX_SHARD_NAME))
        if table_name not in known and super().has_table(table_name):
            known.add(table_name)
        return table_name in known

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        # A connection to a file that was deleted and made again would write to the old one.
        file = 0
        with suppress(FileNotFoundError):
            file = Path(self.path_for_shard(shard)).stat().st_ino
        return _engine(self.conn_string_for_shard(shard), file)


@lru_cache(maxsize=8)
def _engine(url: str, _file: int) -> Engine:
    """The engine of one file."""
    options = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    return create_engine(url, poolclass=QueuePool, pool_size=1, connect_args=options)


@lru_cache(maxsize=8)
def _tables(_engine: Engine) -> set[str]:
    """Those that were found in a database."""
    return set()
