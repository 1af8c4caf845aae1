"""Starts, follows, cancels and repeats exports. Knows no HTTP; every method blocks.

An export is one or more Dagster runs that were started together. It has no state of its own: all
of it is in Dagster's storage, so exports that the UI, a schedule or a command started are the same,
and a restart of the service changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

from exporter_pipelines.orchestration.dagster_internals.web_server import UserWebserver
from exporter_pipelines.service.context import ServiceContext
from exporter_pipelines.service.models import Export, ExportRequest, Preview, RerunRequest
from exporter_pipelines.service.principals import Principal

StartedBy = Literal["rest", "page"]


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
            Problem: 422 for a field that is wrong, also for the same key with another request;
                409 if no day of the range is in a state of `only`; 429 if the user has too many
                exports that have not ended; 503 if the code location is not loaded.
        """
        raise NotImplementedError

    def preview(self, request: ExportRequest) -> Preview:
        """The days that `start` would export, with their rows in the source.

        Raises:
            Problem: 422 as `start`, also for more than 92 days.
        """
        raise NotImplementedError

    def get(self, export_id: str) -> Export:
        """An export as it is now; of a run or backfill that was started elsewhere by its own id.

        Raises:
            Problem: 404 if there is none.
        """
        raise NotImplementedError

    def cancel(self, export_id: str, principal: Principal) -> Export:
        """Cancel an export. Days that are published stay published.

        Raises:
            Problem: 404; 409 if it has ended.
        """
        raise NotImplementedError

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
        raise NotImplementedError


def exports_of(connection: HTTPConnection) -> Exports:
    """The exports of the service that received a request."""
    exports: Exports = connection.app.state.exports
    return exports
