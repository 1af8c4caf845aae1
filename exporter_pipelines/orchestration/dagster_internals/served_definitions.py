"""Whether this process serves the definitions to the web server and the daemon.

Reason: the definitions of a code server may have another backfill policy than those of a command.
    `dagster asset materialize --partition-range` accepts `BackfillPolicy.single_run()` only, and
    nothing that a process can ask says who loads its definitions. The commands below start the
    process that loads them; `dagster code-server start` starts the first of them.
Upstream: none found.
Test: test_backfill_runs.py::test_a_backfill_of_the_ui_is_split_into_runs
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_COMMANDS = {("api", "grpc"), ("code-server", "start")}


def are_served(arguments: Sequence[str]) -> bool:
    """Whether the definitions that this process loads are those of a code server.

    Args:
        arguments: The command line of this process.
    """
    return not _COMMANDS.isdisjoint(pairwise(arguments))
