"""A run queue that applies the limit of a pool from its first run.

Configured in dagster.yaml. https://docs.dagster.io/guides/operate/managing-concurrency

Reason: the queue of Dagster reads all pools before it stores the default limit of a new one, so the
    first runs of a pool start without a limit. `run_coordinator` has no setting for this.
Upstream: none found.
Test: test_run_queue.py::test_the_first_runs_of_a_pool_are_as_many_as_it_allows
"""

from __future__ import annotations

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext


class PoolAwareRunCoordinator(QueuedRunCoordinator):
    """`QueuedRunCoordinator` that stores the limit of a new pool before it queues a run.

    It also tags the run with the user of the service who started it.

    The daemon would store the limit when it first dequeues a run of the pool, but decide with the
    limits that it read before that. It would then start all runs that are waiting at that moment.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Give new pools the `default_limit` of dagster.yaml, tag the run, then queue it."""
        needs = context.dagster_run.run_op_concurrency
        history = self._instance.event_log_storage
        pools = set(needs.all_pools or ()) if needs else set()
        for pool in pools - history.get_concurrency_keys():
            history.initialize_concurrency_limit_to_default(pool)
        # Dagster adds the tags of a user to backfills only. Ours replace those that a client sent.
        if tags := context.workspace.get_viewer_tags():
            self._instance.add_run_tags(context.dagster_run.run_id, tags)
        return super().submit_run(context)
