"""Dagster's run queue, which holds to the limit of a pool from its first run on.

Named in dagster.yaml. https://docs.dagster.io/guides/operate/managing-concurrency
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext


class PoolAwareRunCoordinator(QueuedRunCoordinator):
    """`QueuedRunCoordinator`, but a pool is known before a run that needs it waits.

    The daemon writes the limit of a new pool down when it first finds runs that need it, and goes
    by what it had read before. So all runs that waited at that moment were started, one more than
    a pool of three allows.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Queue a run, after giving the pools that are new the `default_limit` of dagster.yaml."""
        needs = context.dagster_run.run_op_concurrency
        history = self._instance.event_log_storage
        pools = set(needs.all_pools or ()) if needs else set()
        for pool in pools - history.get_concurrency_keys():
            history.initialize_concurrency_limit_to_default(pool)
        return super().submit_run(context)
