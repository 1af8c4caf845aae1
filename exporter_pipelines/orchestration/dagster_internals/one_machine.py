"""Whether all processes of a Dagster instance run on one machine.

Reason: an instance has no such attribute. With Dagster's SQLite storage they do, because it needs
    a local disk; with a database server they need not.
Upstream: none found.
Test: test_live_progress.py::test_an_instance_with_a_database_server_may_span_machines
"""

from __future__ import annotations

import dagster as dg
from dagster._core.storage.runs import InMemoryRunStorage, SqliteRunStorage


def is_on_one_machine(instance: dg.DagsterInstance) -> bool:
    """Whether the instance stores its runs in SQLite, or in the memory of this process."""
    return isinstance(instance.run_storage, SqliteRunStorage | InMemoryRunStorage)
