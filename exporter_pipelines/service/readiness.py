"""Whether exports can be started now: code location, Dagster's storage and daemons, output."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import dagster as dg

from exporter_pipelines import output_folder
from exporter_pipelines.contracts.progress import duration
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.orchestration.dagster_internals.health import (
    BACKFILLS,
    QUEUE,
    code_locations,
    daemons,
    silent_s,
)
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.export_runs import ExportRuns

OK = "ok"
_NO_DAEMON = (
    "No daemon is running{since}, so exports wait. Start it with `exporter serve --daemon` or "
    "`make dev`, or as a service: docs/deployment.md."
)
_SILENT_S = 300
"""Dagster's daemon writes its heartbeat every 30 s, a busy one after a minute or two."""
_FRESH_S = 2.0
"""Everybody may ask, so the checks are not made for each question."""


class ReadinessChecks:
    """The checks, and what they found a moment ago.

    Args:
        context: Of the service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._at, self._found = float("-inf"), dict[str, str]()

    def results(self) -> dict[str, str]:
        """What was checked -> `ok`, or what is wrong. Blocks."""
        with self._lock:
            if time.monotonic() - self._at > _FRESH_S:
                self._found = self._check()
                self._at = time.monotonic()
            return self._found

    def _check(self) -> dict[str, str]:
        found = {
            f"code location {name}": OK if loaded else "is not loaded"
            for name, loaded in code_locations(self._context.workspace).items()
        } or {"code location": "there is none"}
        found["storage"] = _outcome(self._check_storage)
        if found["storage"] == OK:
            for name, healthy in daemons(self._context.instance).items():
                found[f"daemon {name.lower()}"] = OK if healthy else "is not running"
        found["output folder"] = _outcome(self._check_output)
        return found

    def _check_storage(self) -> None:
        self._context.instance.get_runs_count()

    def _check_output(self) -> str | None:
        self._context.store.require_writable()
        return output_folder.problem(self._context.store)


def why_waiting(instance: dg.DagsterInstance, pending: ExportRuns) -> str | None:
    """A sentence if no daemon starts a pending export; None if it is being started."""
    if not pending.runs:
        return no_daemon(instance, BACKFILLS)
    queued = any(run.status == dg.DagsterRunStatus.QUEUED for run in pending.runs)
    return no_daemon(instance, QUEUE) if queued else None


def no_daemon(instance: dg.DagsterInstance, daemon: str = QUEUE) -> str | None:
    """A sentence if a daemon does not run, by default the one that starts queued runs."""
    silent = silent_s(instance, daemon)
    if silent is None:
        return _NO_DAEMON.format(since="")
    if silent > _SILENT_S:
        return _NO_DAEMON.format(since=f" (last seen {duration(silent)} ago)")
    return None


def _outcome(check: Callable[[], str | None]) -> str:
    try:
        return check() or OK
    except ExporterError as error:
        return error.message
    except Exception as error:
        # Broad: each storage has errors of its own. Their text may contain a connection string.
        return f"cannot be used ({type(error).__name__})"
