"""Dagster's SQLite storage with an event log that keeps its database engines.

Configured in dagster.yaml. Folders, databases and tables are those of `storage: sqlite`; each can
read what the other wrote.

Reason: Dagster's event log creates an SQLAlchemy engine per statement, and no setting changes that.
    docs/decisions/0017-sqlite-engines-are-kept.md has the measurements.
Upstream: none found.
Test: test_sqlite_history.py::test_dagsters_own_sqlite_and_ours_read_each_other
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool


class SqliteHistory(DagsterSqliteStorage):
    """`storage: sqlite` with `KeptEngines` as its event log."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = KeptEngines(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> SqliteHistory:
        """Create the storage from its entry in dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)


class KeptEngines(SqliteEventLogStorage):
    """Dagster's event log with one SQLAlchemy engine per file instead of one per statement.

    An engine caches compiled statements and keeps a connection.
    """

    _kept: dict[str, Connection] | None = None
    """File -> connection of the transaction that is open, see `one_transaction`."""
    _owner = 0
    """The thread that opened it."""

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Store all events of a block in one transaction per file, which must be short.

        An event is stored with up to four transactions, and each waits for the disk.
        """
        with self._db_lock, ExitStack() as transactions:
            self._transactions, self._kept, self._owner = transactions, {}, threading.get_ident()
            try:
                yield
            finally:
                self._kept = None

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, then update the modification time of the file that the UI watches.

        An event is first written to the write-ahead log. Dagster's event log moves it to the
        watched file by closing the last connection, which waits for the disk several times.
        """
        super().store_event(event)
        with suppress(FileNotFoundError):  # the history was deleted
            os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """Whether a table exists; a table that was found is not looked up again."""
        known = _tables(self._engine(INDEX_SHARD_NAME))
        if table_name not in known and super().has_table(table_name):
            known.add(table_name)
        return table_name in known

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if self._kept is not None and self._owner == threading.get_ident():
            if shard not in self._kept:
                self._kept[shard] = self._transactions.enter_context(self._begin(shard))
            yield self._kept[shard]
            return
        with self._db_lock, self._begin(shard) as connection:
            yield connection

    def _begin(self, shard: str) -> AbstractContextManager[Connection]:
        engine = self._engine(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine.begin()

    def _engine(self, shard: str) -> Engine:
        # An engine must not outlive its file: it would keep writing to the deleted one.
        file = 0
        with suppress(FileNotFoundError):
            file = Path(self.path_for_shard(shard)).stat().st_ino
        return _engine(self.conn_string_for_shard(shard), file)


@contextmanager
def one_transaction(instance: DagsterInstance) -> Iterator[None]:
    """Store the events of a block in one transaction, where the storage is `SqliteHistory`."""
    history = instance.event_log_storage
    if isinstance(history, KeptEngines):
        with history.one_transaction():
            yield
    else:
        yield


@lru_cache(maxsize=8)
def _engine(url: str, _file: int) -> Engine:
    """The engine of one file."""
    options = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    return create_engine(url, poolclass=QueuePool, pool_size=1, connect_args=options)


@lru_cache(maxsize=8)
def _tables(_engine: Engine) -> set[str]:
    """Tables that were found in a database."""
    return set()
