"""A code server looks after its runs, and ends, also after the history was away for a while.

Reason: a thread of the code server looks twice a second for runs whose process has ended, reads the
    history then, and ends the server when nobody uses it any more. Two defects:
    1. An error of the history ends this thread for good: the server stays after the daemon has
       replaced it, until a restart, and a run that dies later is not recorded as failed.
    2. A run whose process ends while it is cancelled, such as one that has just been started, is
       recorded as failed. Dagster then repeats a run that the user has cancelled.
Upstream: none found.
Test: test_code_server.py::test_a_code_server_ends_after_its_history_was_away
"""

from __future__ import annotations

import sys
from typing import Any

import dagster as dg

_AGAIN_S = 10.0
_SERVER = "dagster._grpc.server"


def keep_looking_after_runs() -> None:
    """Have the code server that this process is, if any, go on after an error of the history."""
    module: Any = sys.modules.get(_SERVER)  # a code server has imported it; it takes a second
    if module is None or hasattr(module.DagsterApiServer, "_look_once"):
        return
    module.DagsterApiServer._look_once = module.DagsterApiServer._check_for_orphaned_runs
    module.DagsterApiServer._check_for_orphaned_runs = _look


def _look(server: Any) -> None:
    try:
        _record_cancelled(server)
        server._look_once()
    except Exception as error:
        # Broad: each storage has errors of its own. Their text may contain a connection string.
        server._logger.warning(
            f"Dagster's history cannot be read ({type(error).__name__}). "
            f"The code server looks again for runs whose process has ended in {_AGAIN_S:.0f} s."
        )
        if _is_left(server):
            server._server_termination_event.set()
        server._server_termination_event.wait(_AGAIN_S)


def _record_cancelled(server: Any) -> None:
    """Record runs as cancelled that had to end and have ended; Dagster then leaves them alone."""
    with server._execution_lock:
        executions = list(server._executions.items())
    for run_id, (process, reference) in executions:
        if process.is_alive():
            continue
        with dg.DagsterInstance.from_ref(reference) as instance:
            run = instance.get_run_by_id(run_id)
            if run and run.status == dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run)


def _is_left(server: Any) -> bool:
    """Whether the server should end, and no process of a run lives.

    It then need not wait for the history: `dead_runs_sensor` records such a run.
    """
    with server._execution_lock:
        alive = [process for process, _ in server._executions.values() if process.is_alive()]
    return server._shutdown_once_executions_finish_event.is_set() and not alive
