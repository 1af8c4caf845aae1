"""Dagster's SQLite storage with an event log that keeps its database engines.

Configured in dagster.yaml. Folders, databases and tables are those of `storage: sqlite`; each can
read what the other wrote.

Reason: Dagster's event log creates an SQLAlchemy engine per statement, and no setting changes that.
    docs/decisions/0017-sqlite-engines-are-kept.md has the measurements.
Upstream: none found.
Test: test_sqlite_history.py::test_dagsters_own_sqlite_and_ours_read_each_other
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, DagsterInstance, EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqlEventLogStorageTable, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import func, select
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
    _waiting: tuple[EventLogEntry, ...] = ()
    """Evaluations of checks that are stored before the next other event of the transaction."""

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """Store all events of a block in one transaction per file, which must be short.

        An event is stored with up to four transactions, and each waits for the disk.
        """
        with self._db_lock, ExitStack() as transactions:
            self._transactions, self._kept, self._owner = transactions, {}, threading.get_ident()
            try:
                yield
                self._store_waiting()
            finally:
                self._kept, self._waiting = None, ()

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, then update the modification time of the file that the UI watches.

        An event is first written to the write-ahead log. Dagster's event log moves it to the
        watched file by closing the last connection, which waits for the disk several times.
        """
        if self._is_in_transaction:
            if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
                self._waiting += (event,)
                return
            self._store_waiting()
        super().store_event(event)
        self._notify_watchers(event.run_id)

    def _notify_watchers(self, run_id: str) -> None:
        with suppress(FileNotFoundError):  # the history was deleted
            os.utime(self.path_for_shard(run_id))

    def _store_waiting(self) -> None:
        """Store the evaluations of a day with three statements instead of four for each."""
        waiting, self._waiting = self._waiting, ()
        if not waiting:
            return
        run_id = waiting[0].run_id
        insert, rows = SqlEventLogStorageTable.insert(), list(map(self._event_to_row, waiting))
        with self.run_connection(run_id) as connection:
            connection.execute(insert, rows)
        with self.index_connection() as connection:
            connection.execute(insert, rows)
            newest = connection.execute(select(func.max(SqlEventLogStorageTable.c.id))).scalar_one()
            ids = range(newest - len(waiting) + 1, newest + 1)  # nobody else can write now
            planned = self._planned(connection, waiting)
            new = [
                self._execution(event, row["event"], storage_id)
                for event, row, storage_id in zip(waiting, rows, ids, strict=True)
                if _check_of(event) not in planned
            ]
            if new:
                connection.execute(AssetCheckExecutionsTable.insert(), new)
        for event, storage_id in zip(waiting, ids, strict=True):
            if _check_of(event) in planned:
                self.store_asset_check_event(event, storage_id)
        self._notify_watchers(run_id)

    @staticmethod
    def _planned(
        connection: Connection, events: Sequence[EventLogEntry]
    ) -> set[tuple[str, str, str | None]]:
        """The checks for which there is a row, which the evaluation updates."""
        table = AssetCheckExecutionsTable.c
        checks = [_check_of(event) for event in events]
        found = connection.execute(
            select(table.asset_key, table.check_name, table.partition).where(
                table.run_id == events[0].run_id,
                table.asset_key.in_({asset for asset, _, _ in checks}),
                table.check_name.in_({check for _, check, _ in checks}),
                table.partition.in_({day for _, _, day in checks}),  # of a range: never null
            )
        )
        return {(row[0], row[1], row[2]) for row in found}

    def _execution(self, event: EventLogEntry, stored: str, storage_id: int) -> dict[str, Any]:
        """The row of an evaluation that was not planned."""
        evaluation = event.get_dagster_event().asset_check_evaluation_data
        target = evaluation.target_materialization_data
        status = AssetCheckExecutionRecordStatus
        return {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "run_id": event.run_id,
            "execution_status": (status.SUCCEEDED if evaluation.passed else status.FAILED).value,
            "evaluation_event": stored,
            "evaluation_event_timestamp": dt.datetime.fromtimestamp(
                event.timestamp, dt.UTC
            ).replace(tzinfo=None),
            "evaluation_event_storage_id": storage_id,
            "materialization_event_storage_id": target.storage_id if target else None,
            "partition": evaluation.partition,
        }

    def has_table(self, table_name: str) -> bool:
        """Whether a table exists; a table that was found is not looked up again."""
        known = _tables(self._engine(INDEX_SHARD_NAME))
        if table_name not in known and super().has_table(table_name):
            known.add(table_name)
        return table_name in known

    @property
    def _is_in_transaction(self) -> bool:
        """Whether this thread is in the block of `one_transaction`."""
        return self._kept is not None and self._owner == threading.get_ident()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if self._is_in_transaction and self._kept is not None:
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


def _check_of(event: EventLogEntry) -> tuple[str, str, str | None]:
    evaluation = event.get_dagster_event().asset_check_evaluation_data
    return evaluation.asset_key.to_string(), evaluation.check_name, evaluation.partition


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
