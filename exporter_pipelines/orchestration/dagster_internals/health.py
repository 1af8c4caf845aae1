"""Whether the parts of Dagster that an export needs are there: code locations and daemons.

Reason: the public API has neither; Dagster's own UI reads them with GraphQL.
Upstream: none found.
Test: test_service_api.py::test_health_and_readiness
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines.orchestration.dagster_internals.web_server import Workspace


def code_locations(workspace: Workspace) -> dict[str, bool]:
    """Name -> whether it is loaded."""
    entries = workspace.get_current_workspace().code_location_entries
    return {name: entry.code_location is not None for name, entry in entries.items()}


def daemons(instance: dg.DagsterInstance) -> dict[str, bool]:
    """Each daemon that the instance needs -> whether it has run lately, without an error."""
    statuses = instance.get_daemon_statuses()
    return {name: bool(status.healthy) for name, status in sorted(statuses.items())}


def is_daemon_running(instance: dg.DagsterInstance) -> bool:
    """Whether a daemon has run lately, or none is needed."""
    found = daemons(instance)
    return any(found.values()) or not found
