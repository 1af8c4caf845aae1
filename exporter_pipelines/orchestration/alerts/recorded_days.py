"""Days that were recorded without a run: kept ones, and those that a killed run had published.

Such a record resolves the alert about the day, as a run that publishes it does.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from exporter_pipelines.orchestration.alerts.incidents import Incident

_KINDS = ("day_held", "run_failed")
_READ = 1000


def recorded_without_run(
    instance: dg.DagsterInstance, unresolved: Mapping[Incident, float]
) -> set[Incident]:
    """Open incidents whose day has been recorded as materialized since, outside of a run.

    Args:
        instance: Stores the records.
        unresolved: Open incident -> Unix time at which it began.
    """
    found: set[Incident] = set()
    days = {each: since for each, since in unresolved.items() if each.kind in _KINDS and each.day}
    for subject in {each.subject for each in days}:
        of_subject = {each: since for each, since in days.items() if each.subject == subject}
        asked = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey.from_user_string(subject),
            asset_partitions=sorted({each.day for each in of_subject}),
            after_timestamp=min(of_subject.values()),
        )
        records = instance.fetch_materializations(asked, limit=_READ).records
        recorded = {(each.partition_key, each.timestamp) for each in records if not each.run_id}
        for incident, since in of_subject.items():
            if any(day == incident.day and time > since for day, time in recorded):
                found.add(incident)
    return found
