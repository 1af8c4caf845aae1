"""Ends a run that was cancelled while the daemon took it out of the queue.

The daemon reads that a run is queued, then marks it as starting. A cancel in between is
overwritten, but its event stays in the log of the run.
https://github.com/dagster-io/dagster/issues/3323
"""

from __future__ import annotations

import dagster as dg


def stop_if_cancelled(context: dg.AssetExecutionContext) -> None:
    """Stop before anything is exported, as a cancel of the running run would.

    Raises:
        dg.DagsterExecutionInterruptedError: the run was cancelled before it started.
    """
    instance, run = context.instance, context.run
    if instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_CANCELED):
        # With this status, Dagster records the end as a cancel and not as a failure.
        instance.report_run_canceling(run, message="The run was cancelled before it started.")
        raise dg.DagsterExecutionInterruptedError
