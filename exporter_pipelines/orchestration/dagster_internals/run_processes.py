"""Whether the process of a run still exists on this machine.

Reason: Dagster's run monitoring asks the run launcher, and the default launcher cannot tell. The
    tag of launched runs and the process id in their events are not documented.
Upstream: none found.
Test: test_backfill_runs.py::test_a_backfill_of_the_ui_is_split_into_runs
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

_LAUNCHED_TAG = ".dagster/grpc_info"
"""On runs that the default launcher started: their process is a child of this code server."""


def has_no_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the default launcher started the run here and its process has ended."""
    if _LAUNCHED_TAG not in run.tags:
        return False  # It may run in another container, whose processes are not visible here.
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    pids = [
        entry.dagster_event.engine_event_data.metadata["pid"].value
        for entry in events
        if entry.dagster_event and "pid" in entry.dagster_event.engine_event_data.metadata
    ]
    return bool(pids) and not Path(f"/proc/{pids[-1]}").exists()
