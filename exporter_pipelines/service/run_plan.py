"""Which days of which datasets a run is to export, from the run itself: no event is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from exporter_pipelines.contracts.day_window import days_between, is_day
from exporter_pipelines.defs_files import Definitions

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
_MOST_DAYS = 100_000
_OTHER_JOBS = ("export_report_job", "prune_job", "repair_job")

DaysOf = dict[str, list[str]]
"""Dataset -> days, in order."""


def planned_days(run: dg.DagsterRun, definitions: Definitions) -> DaysOf:
    """The days that a run is to export; empty for a run that exports nothing."""
    days = _days_of(run.tags)
    if not days:
        return {}
    found = {}
    for name in _datasets_of(run, definitions):
        chosen = set(_chosen(run.run_config, name))
        found[name] = [day for day in days if day in chosen] if chosen else days
    return found


def may_export(run: dg.DagsterRun, definitions: Definitions) -> bool:
    """Whether a run may export days; for a job of a user's own, only its events say so."""
    if run.asset_selection is not None or not _days_of(run.tags):
        return bool(planned_days(run, definitions))
    return run.job_name not in _OTHER_JOBS


def _days_of(tags: Mapping[str, str]) -> list[str]:
    day = tags.get(PARTITION, "")
    first, last = tags.get(RANGE_START, day), tags.get(RANGE_END, day)
    if not (is_day(first) and is_day(last)):  # also of an asset with other partitions
        return []
    return days_between(first, last)[:_MOST_DAYS]


def _datasets_of(run: dg.DagsterRun, definitions: Definitions) -> list[str]:
    """The datasets that a run exports, in the order of the definitions."""
    names = definitions.exported_names()
    if run.asset_selection is not None:
        selected = {key.to_user_string() for key in run.asset_selection}
    elif run.job_name == "all_exports_job":
        selected = set(definitions.dataset_names())
    else:
        selected = {run.job_name.removesuffix("_job")}
    if run.step_keys_to_execute is not None:  # a run that repeats the failed steps of another
        selected &= set(run.step_keys_to_execute)
    return [name for name in names if name in selected]


def _chosen(run_config: Mapping[str, Any], dataset: str) -> list[str]:
    """The days under `days` in the run config of a dataset; empty for all of the run."""
    found: Any = run_config
    for key in ("ops", dataset, "config", "days"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return [day for day in found if isinstance(day, str)] if isinstance(found, list) else []
