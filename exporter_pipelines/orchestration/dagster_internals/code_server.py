"""Whether the code server behind `dagster code-server start` answers, and what happens without it.

Reason: the command starts a process that loads the definitions, forwards requests to it, and does
    not start it again when it dies. gRPC's health check reports on the forwarding process alone.
    `Ping` is forwarded, so this sends it, under the name in Dagster's gRPC service. The variable
    that keeps backfills going is read by the daemon and not documented.
Upstream: none found.
Test: test_supervisor.py::test_killed_processes_come_back_and_a_hangup_ends_all
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import grpc

KEEP_BACKFILLS = "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR=1"
"""Variable of the daemon. Without it, a backfill is marked as failed when its asset is missing
because the code server is away, although the runs of the backfill go on. With it, the backfill
waits. deploy/exporter-daemon.service sets it as well."""

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
