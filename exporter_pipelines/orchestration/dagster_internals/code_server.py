"""Whether the code server behind `dagster code-server start` answers.

Reason: the command starts a process that loads the definitions, forwards requests to it, and does
    not start it again when it dies. gRPC's health check reports on the forwarding process alone.
    `Ping` is forwarded, so this sends it, under the name in Dagster's gRPC service.
Upstream: none found.
Test: test_supervisor.py::test_a_process_that_is_killed_is_started_again
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import grpc

_PING = "/api.DagsterApi/Ping"
_SECONDS = 5.0


class CodeServer(Enum):
    """What a code server does; one that is busy may answer later."""

    UP = "up"
    BUSY = "busy"
    DOWN = "down"


def ping_code_server(socket: Path) -> CodeServer:
    """Ask the code server that listens on a Unix socket."""
    # A channel of its own for each question: one that lost its server waits long to look again.
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            channel.unary_unary(_PING)(b"", timeout=_SECONDS)
        except grpc.RpcError as error:
            busy = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return CodeServer.BUSY if busy else CodeServer.DOWN
    return CodeServer.UP
