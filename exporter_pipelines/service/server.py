"""Runs the service with uvicorn until a signal."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from exporter_pipelines.orchestration.dagster_internals.web_server import open_workspace
from exporter_pipelines.orchestration.exports.history_lock import instance_at_home
from exporter_pipelines.service.access import Access
from exporter_pipelines.service.app import create_app
from exporter_pipelines.service.context import ServeOptions, ServiceContext
from exporter_pipelines.service.heads import MAX_HEAD_BYTES
from exporter_pipelines.service.limits import allow_many_open_files
from exporter_pipelines.service.readiness import no_daemon
from exporter_pipelines.stores.opening import open_store

_MAX_MESSAGE_BYTES = 64 * 1024
_HEAD_SECONDS = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STREAMS_END_SECONDS = 2
"""Streams of events and web sockets have this long to end after a signal."""


def serve(
    workspace_file: Path,
    options: ServeOptions,
    access: Access,
    listener: socket.socket,
    up: Callable[[str | None], object],
) -> None:
    """Serve until SIGINT or SIGTERM; blocks.

    Args:
        workspace_file: Dagster's file with the code location.
        options: How to listen.
        access: Who may use it.
        listener: Bound to the address; begins to listen when Dagster is up.
        up: Called when the service answers, with a sentence if no daemon is running.

    Raises:
        HistoryUnavailableError: the storage of Dagster's history cannot be opened.
    """
    allow_many_open_files()
    with (
        instance_at_home() as instance,
        open_workspace(instance, workspace_file) as workspace,
    ):
        store = open_store()
        context = ServiceContext(workspace, store, options, access=access)
        Server(configuration(context), lambda: up(no_daemon(instance))).run([listener])


def configuration(context: ServiceContext) -> uvicorn.Config:
    """How uvicorn serves: strict about what it reads, and silent about what passes."""
    return uvicorn.Config(
        create_app(context),
        # h11 refuses more of what proxies may read differently than httptools.
        http="h11",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="websockets-sansio",
        ws_max_size=_MAX_MESSAGE_BYTES,
        # The guard decides whom to believe about addresses; uvicorn would believe 127.0.0.1.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_STREAMS_END_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn, which says when it is up and closes connections that send no request."""

    def __init__(self, config: uvicorn.Config, up: Callable[[], object]) -> None:
        super().__init__(config)
        self._up = up
        self._silent: dict[object, float] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._up()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at a signal. uvicorn would raise it again then, before Dagster is closed."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        """Look once a second for connections whose first request does not come."""
        if counter % 10 == 0:
            self._close_silent()
        return await super().on_tick(counter)

    def _close_silent(self) -> None:
        now = time.monotonic()
        silent = {
            connection
            for connection in self.server_state.connections
            if getattr(connection, "cycle", self) is None  # no request was read yet
        }
        self._silent = {connection: self._silent.get(connection, now) for connection in silent}
        for connection, since in self._silent.items():
            if now - since > _HEAD_SECONDS:
                connection.transport.close()  # type: ignore[attr-defined]
