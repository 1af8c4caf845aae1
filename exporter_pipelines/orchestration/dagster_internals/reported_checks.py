"""Makes room for the evaluation of a check that is reported without a run.

Reason: a table of Dagster has room for one such evaluation per check and partition, and a second
    one is an error. A sensor whose event is refused fails in each tick from then on.
Upstream: none found.
Test: test_late_data.py::test_a_sensor_reports_at_the_page_of_the_day_as_often_as_the_day_changes
"""

from __future__ import annotations

import dagster as dg
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable


def forget_reported(instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation) -> None:
    """Remove the evaluation that this one replaces; its event stays in the event log.

    Args:
        instance: Has the history.
        evaluation: Of a day. It is reported next, by the caller or by Dagster's daemon.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):  # each storage that Dagster ships
        return
    row = AssetCheckExecutionsTable.c
    with storage.index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                row.asset_key == evaluation.asset_key.to_string(),
                row.check_name == evaluation.check_name,
                row.partition == evaluation.partition,
                row.run_id == RUNLESS_RUN_ID,
            )
        )
