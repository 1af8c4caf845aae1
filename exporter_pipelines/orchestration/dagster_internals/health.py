"""Whether the parts of Dagster that an export needs are there: code locations and daemons.

Reason: the public API has neither; Dagster's own UI reads them with GraphQL.
Upstream: none found.
Test: test_service_api.py::test_health_and_readiness
"""

from __future__ import annotations

import time

import dagster as dg

from exporter_pipelines.orchestration.dagster_internals.web_server import Workspace

QUEUE, BACKFILLS = "QUEUED_RUN_COORDINATOR", "BACKFILL"
"""Dagster's names of the daemons that start queued runs, and the runs of backfills."""


def code_locations(workspace: Workspace) -> dict[str, bool]:
    """Name -> whether it is loaded."""
    entries = workspace.get_current_workspace().code_location_entries
    return {name: entry.code_location is not None for name, entry in entries.items()}


def daemons(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Each daemon that the instance needs -> whether it has run lately, without an error."""
    statuses = instance.get_daemon_statuses()
    return {name: bool(status.healthy) for name, status in sorted(statuses.items())}


def silent_s(instance: dg.DagsterInstance, daemon: str) -> float | None:
    """Seconds since a daemon wrote its heartbeat, None if it never did; 0 if it is not needed.

    A daemon that runs writes it every 30 s, later while it is busy. Dagster itself calls a daemon
    healthy for half an hour after its last one.
    """
    status = instance.get_daemon_statuses([daemon])[daemon]
    if not status.required:
        return 0
    return time.time() - status.last_heartbeat.timestamp if status.last_heartbeat else None
