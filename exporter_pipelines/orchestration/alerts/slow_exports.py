"""Finds exports that took much longer than earlier exports of the same dataset.

The usual time is the median of the seconds per row of the newest earlier exports of comparable
size. A single slow night barely changes it.
"""

from __future__ import annotations

from statistics import median

import dagster as dg

from exporter_pipelines import alert_settings
from exporter_pipelines.orchestration.alerts.ended_run import EndedRun
from exporter_pipelines.orchestration.alerts.incidents import Incident

_BEFORE = 14
_NEEDED = 5
_READ = 200
"""Maximum number of records to read; repeated exports of a day count once."""


def judge_speed(
    instance: dg.DagsterInstance, ended: EndedRun, datasets: set[str]
) -> tuple[dict[Incident, list[tuple[str, str]]], set[str]]:
    """Which datasets were slow in a run.

    Returns:
        Incidents with the reason for each slow day, and the datasets that were compared.
    """
    slow: dict[Incident, list[tuple[str, str]]] = {}
    compared = set()
    for asset in sorted({asset for asset, _ in ended.published} & datasets):
        days = {day: cost for (a, day), done in ended.published.items()
                if a == asset and (cost := _cost(done))}  # fmt: skip
        before = _before(instance, ended, asset) if days else {}
        reasons = []
        for day, (rows, seconds) in sorted(days.items()):
            comparable = [s / r for r, s in before.values() if rows / 10 <= r <= rows * 10]
            if len(comparable) < _NEEDED:
                continue
            compared.add(asset)
            usual_s = median(comparable[:_BEFORE]) * rows
            limit_s = max(
                usual_s * alert_settings.alert_slow_factor(),
                alert_settings.alert_slow_min_seconds(),
            )
            if seconds > limit_s:
                reason = f"{rows:,} rows took {seconds:,.1f} s; the usual time is {usual_s:,.1f} s."
                reasons.append((day, reason))
        if reasons:
            slow[Incident("slow_export", asset)] = reasons
    return slow, compared


def _before(instance: dg.DagsterInstance, ended: EndedRun, asset: str) -> dict[str, tuple]:  # type: ignore[type-arg]
    """Day -> rows and seconds of its newest export before this run, newest first."""
    record = instance.get_run_record_by_id(ended.run.run_id)
    asked = dg.AssetRecordsFilter(
        asset_key=dg.AssetKey.from_user_string(asset),
        before_timestamp=record.start_time if record else None,
    )
    found: dict[str, tuple[int, float]] = {}
    for each in instance.fetch_materializations(asked, limit=_READ).records:
        done = each.asset_materialization
        if done and done.partition and each.run_id != ended.run.run_id and (cost := _cost(done)):
            found.setdefault(done.partition, cost)
    return found


def _cost(done: dg.AssetMaterialization) -> tuple[int, float] | None:
    """Rows read and seconds; None for a day without rows, or recorded without them."""
    rows, seconds = (done.metadata.get(name) for name in ("rows_read", "duration_s"))
    if rows is None or seconds is None or not rows.value:
        return None
    return int(rows.value), float(seconds.value)  # type: ignore[arg-type]
