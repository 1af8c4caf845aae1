"""Dagster's web server as an ASGI application whose rights depend on the user of each request.

Reason: Dagster's open-source web server has one switch, `--read-only`, for all users, and no public
    way to run GraphQL in its own process with the rights of one of them.
Upstream: https://github.com/dagster-io/dagster/issues/2219
Test: test_service_dagster_ui.py::test_every_mutation_is_refused_to_who_is_no_operator
"""

from __future__ import annotations

import json
from asyncio import run
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.workspace.context import (
    WorkspaceProcessContext,
    WorkspaceRequestContext,
)
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.webserver import DagsterWebserver
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from exporter_pipelines.orchestration.dagster_internals.graphql_documents import (
    UnusableRequestError,
    mutations_in,
    refuse_half_characters,
    refuse_malformed,
)

Workspace = WorkspaceProcessContext
"""Dagster's connection to the code location."""


@dataclass(frozen=True)
class WebUser:
    """What Dagster needs to know of a user.

    Attributes:
        may_change: Whether mutations are allowed; the UI disables its buttons otherwise.
        tags: Added to every run and backfill that the user starts.
    """

    may_change: bool
    tags: Mapping[str, str] = field(default_factory=dict)


class _UserRequestContext(WorkspaceRequestContext):
    """A request context with the rights and the tags of one user."""

    def __init__(self, workspace: Workspace, user: WebUser, source: object) -> None:
        super().__init__(
            instance=workspace.instance,
            current_workspace=workspace.get_current_workspace(),
            process_context=workspace,
            version=workspace.version,
            source=source,
            read_only=not user.may_change,
        )
        self._user = user

    def get_viewer_tags(self) -> dict[str, str]:
        return dict(self._user.tags)


class UserWebserver(DagsterWebserver[Workspace, WorkspaceRequestContext]):
    """The UI, GraphQL, web sockets, compute logs and debug files of Dagster.

    Args:
        workspace: Open; closed by who opened it.
        user_of: The user of a request.
        prefix: Of every path, as `/exporter`; empty without one.
        note: Receives the names of the mutations of a request, and the answer.
    """

    def __init__(
        self,
        workspace: Workspace,
        user_of: Callable[[HTTPConnection], WebUser],
        prefix: str = "",
        note: Callable[[HTTPConnection, list[str], bytes], None] = lambda *_: None,
    ) -> None:
        self._user_of, self._note = user_of, note
        super().__init__(workspace, prefix, live_data_poll_rate=2000)

    def asgi(self) -> Starlette:
        """The application; mounted last, since it answers every path with the UI."""
        application: Starlette = self.create_asgi_app()
        return application

    def _make_request_context(self, conn: HTTPConnection) -> WorkspaceRequestContext:
        return _UserRequestContext(self._process_context, self._user_of(conn), conn)

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Answer 400 to what is no GraphQL request, and 403 to mutations of who may change nothing.

        Dagster checks the permission of each mutation as well; this does not depend on that.
        """
        try:
            body = await request.json()
            refuse_malformed(body)
            mutations = mutations_in(body["query"])
        except (UnusableRequestError, ValueError, RecursionError) as error:
            known = (
                str(error) if isinstance(error, UnusableRequestError) else "The body is no JSON."
            )
            return _errors(400, known)
        if mutations and not self._user_of(request).may_change:
            response = _errors(403, "You may not change anything here. It needs the role operator.")
        else:
            response = await super().graphql_http_endpoint(request)
        if mutations:
            self._note(request, mutations, bytes(response.body))
        return response

    async def execute_graphql_subscription(
        self,
        websocket: WebSocket,
        operation_id: str,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> Any:
        """Answer with an error to what cannot be parsed; web sockets take subscriptions only."""
        try:
            refuse_half_characters([query, variables, operation_name])
            refused = "A web socket takes subscriptions only." if mutations_in(query) else ""
        except UnusableRequestError as error:
            refused = str(error)
        if refused:
            return None, {"message": refused}
        return await super().execute_graphql_subscription(
            websocket, operation_id, query, variables, operation_name
        )

    def graphql(self, user: WebUser, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Run a GraphQL document with the rights of a user; blocks.

        Returns:
            The response: `data`, and `errors` if there are any.
        """
        with _UserRequestContext(self._process_context, user, None) as context:
            response: JSONResponse = run(
                self.gen_graphql_response(context, document, dict(variables), None)
            )
        answer: dict[str, Any] = json.loads(bytes(response.body))
        return answer

    def submit(self, user: WebUser, run_id: str) -> None:
        """Put a run into the queue that was created and not submitted."""
        with _UserRequestContext(self._process_context, user, None) as context:
            self._process_context.instance.submit_run(run_id, context)


def _errors(status: int, message: str) -> JSONResponse:
    """An answer as GraphQL clients expect it."""
    return JSONResponse({"data": None, "errors": [{"message": message}]}, status)


@contextmanager
def open_workspace(instance: dg.DagsterInstance, file: Path) -> Iterator[Workspace]:
    """Connect to the code locations of a `workspace.yaml`, or start them; ends them afterwards."""
    instance.optimize_for_webserver(
        statement_timeout=15_000, pool_recycle=3_600, max_overflow=20
    )  # what `dagster-webserver` sets
    with WorkspaceProcessContext(
        instance,
        workspace_load_target=WorkspaceFileTarget([str(file)]),
        code_server_log_level="WARNING",
    ) as workspace:
        yield workspace
