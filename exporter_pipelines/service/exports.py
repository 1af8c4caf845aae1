"""Starts, follows, cancels and repeats exports. Knows no HTTP; every method blocks.

An export is one or more Dagster runs that were started together. It has no state of its own: all
of it is in Dagster's storage, so exports that the UI, a schedule or a command started are the same,
and a restart of the service changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from exporter_pipelines.errors import listed
from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver, WebUser
from exporter_pipelines.service.cancelling import stop_waiting, terminate
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.dagster_ui import tags_of
from exporter_pipelines.service.export_plan import plan
from exporter_pipelines.service.export_runs import ExportRuns, find
from exporter_pipelines.service.export_status import StatusReader
from exporter_pipelines.service.launching import Launcher
from exporter_pipelines.service.models import Export, ExportRequest, Preview, RerunRequest
from exporter_pipelines.service.previews import preview
from exporter_pipelines.service.principals import Principal
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.run_plan import DaysOf
from exporter_pipelines.service.starting import Start, StartedBy, start

__all__ = ["Exports", "Started", "StartedBy", "exports_of"]


@dataclass(frozen=True)
class Started:
    """The answer to a start.

    Attributes:
        export: The export.
        replayed: Whether an earlier request with the same key had started it.
    """

    export: Export
    replayed: bool = False


class Exports:
    """The exports of a Dagster instance.

    Args:
        context: Of the service.
        ui: Runs GraphQL with the rights of a user.
    """

    def __init__(self, context: ServiceContext, ui: UserWebserver) -> None:
        self._context, self._ui = context, ui
        self.reader = StatusReader(context)
        self._starting = threading.Lock()

    def start(
        self,
        request: ExportRequest,
        principal: Principal,
        *,
        key: str = "",
        source: StartedBy = "rest",
        accept_loss: bool = False,
    ) -> Started:
        """Start an export.

        Args:
            request: Which days.
            principal: Who starts it; needs the role `exporter`, with `accept_loss` `operator`.
            key: The Idempotency-Key: the same user, key and request never start a second export.
            source: Where the request came from.
            accept_loss: Whether published exports may be replaced although the source lost rows.

        Raises:
            Problem: 403 in read-only mode; 422 for a field that is wrong, also for the same key
                with another request; 409 if no day of the range is in a state of `only`; 429 if the
                user has too many exports that have not ended; 503 if the code location is not
                loaded.
        """
        if accept_loss and not principal.may("operator"):
            raise Problem(403, "Only an operator may accept a loss.", anchor="a-role-is-missing")
        wanted = Start(
            principal=principal,
            body=request.model_dump_json(),
            key=key,
            source=source,
            title=request.title,
            batch_rows=request.batch_rows,
            accept_loss=accept_loss,
        )
        return self._start(wanted, lambda: plan(self._context, request))

    def preview(self, request: ExportRequest) -> Preview:
        """The days that `start` would export, with their rows in the source.

        Raises:
            Problem: 422 as `start`, also for more than 92 days.
        """
        return preview(self._context, request)

    def get(self, export_id: str) -> Export:
        """An export as it is now; of a run or backfill that was started elsewhere by its own id.

        Raises:
            Problem: 404 if there is none.
        """
        return self._status(self._find(export_id))

    def cancel(self, export_id: str, principal: Principal) -> Export:
        """Cancel an export. Days that are published stay published.

        Raises:
            Problem: 403 in read-only mode; 404; 409 if it has ended, runs in a command, or takes
                longer to start than a request can wait.
        """
        runs = self._find(export_id)
        if (state := self._status(runs).status) not in ("pending", "running"):
            raise Problem(409, f"The export has ended: it is {state}.")
        launcher = self.launcher(principal)
        with self._starting:
            stop_waiting(self._context, launcher, runs)
        return self._status(terminate(self._context, launcher, runs))

    def rerun(
        self,
        export_id: str,
        request: RerunRequest,
        principal: Principal,
        *,
        key: str = "",
        source: StartedBy = "rest",
    ) -> Started:
        """Start an export of the days of an ended one that were held or failed.

        Raises:
            Problem: 404; 409 if it has not ended, or has no such day; and as `start`.
        """
        before = self.get(export_id)
        if before.status in ("pending", "running"):
            raise Problem(409, f"The export has not ended: it is {before.status}.")
        days: DaysOf = {}
        for result in before.results:
            if result.status in request.only:
                days.setdefault(result.dataset, []).append(str(result.day))
        if not days:
            states = " or ".join(request.only)
            raise Problem(
                409, f"There is no day to export again: export {before.id} has no {states} day."
            )
        wanted = Start(
            principal=principal,
            body=f"rerun {before.id} {request.model_dump_json()}",
            key=key,
            source=source,
            title=before.title,
            batch_rows=None,
            rerun_of=before.id,
        )
        return self._start(wanted, lambda: days)

    def _start(self, wanted: Start, days: Callable[[], DaysOf]) -> Started:
        launcher = self.launcher(wanted.principal)
        with self._starting:  # so that requests with one key follow each other
            runs, replayed = start(self._context, launcher, wanted, days)
        return Started(self._status(runs), replayed)

    def launcher(self, principal: Principal) -> Launcher:
        """Starts and cancels runs with the rights of a principal.

        Raises:
            Problem: 403 in read-only mode.
        """
        if self._context.options.read_only:
            raise Problem(403, "The service is in read-only mode.", anchor="a-role-is-missing")
        return Launcher(self._ui, WebUser(may_change=True, tags=tags_of(principal)))

    def _find(self, export_id: str) -> ExportRuns:
        found = find(self._context.instance, export_id)
        if found is None:
            listed = "`exporter history` or GET /api/v1/exports lists them."
            raise Problem(404, f"There is no export {export_id!r}. {listed}")
        return found

    def _status(self, runs: ExportRuns) -> Export:
        status = self.reader.status(runs)
        if status is None:
            raise Problem(404, _exports_nothing(runs))
        return status


def _exports_nothing(runs: ExportRuns) -> str:
    """Why a run is no export: perhaps its dataset was renamed while the run waited."""
    keys = {key for run in runs.runs for key in run.asset_selection or ()}
    if not keys:
        return f"{runs.id!r} is a run that exports nothing."
    names = listed(sorted(key.to_user_string() for key in keys))
    return (
        f"{runs.id!r} is a run of {names}, and no dataset or preset has such a name now. "
        "The Dagster UI shows the run."
    )


def exports_of(connection: HTTPConnection) -> Exports:
    """The exports of the service that received a request."""
    exports: Exports = connection.app.state.exports
    return exports
