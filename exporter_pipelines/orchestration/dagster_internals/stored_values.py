"""A key-value store in Dagster's run storage, for state that must outlive the daemon.

Reason: the public place for a sensor's state is its cursor. Dagster stores a copy of the cursor
    with every tick, and writes it only when the tick ends. A killed daemon
    would repeat its work. A run has no such place at all: the tags of a run are stored together
    with its status, and writing them can overwrite a new status. The store cannot delete a value
    either, so that is done in its table.
Upstream: none found.
Test: test_alerts.py::test_earlier_runs_send_no_alert_and_a_restart_repeats_nothing
"""

from __future__ import annotations

import dagster as dg
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import KeyValueStoreTable


def read_value(instance: dg.DagsterInstance, key: str) -> str | None:
    """The stored text; None when nothing is stored."""
    return instance.daemon_cursor_storage.get_cursor_values({key}).get(key)


def write_value(instance: dg.DagsterInstance, key: str, text: str) -> None:
    """Store a text, in one statement."""
    instance.daemon_cursor_storage.set_cursor_values({key: text})


def delete_value(instance: dg.DagsterInstance, key: str) -> None:
    """Remove a stored text; does nothing when none is stored."""
    storage = instance.run_storage
    if isinstance(storage, SqlRunStorage):  # each storage that Dagster ships
        with storage.connect() as connection:
            connection.execute(KeyValueStoreTable.delete().where(KeyValueStoreTable.c.key == key))
