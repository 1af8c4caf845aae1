"""Problems outside of runs: missing exports, unreachable databases, low disk, failing sensors.

To watch something else, add a function to `WATCHED`; see docs/extending.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Set

import dagster as dg

from exporter_pipelines import alert_settings, settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.defs_files import Definitions, exported_names
from exporter_pipelines.errors import ExporterError, SourceUnavailableError
from exporter_pipelines.orchestration.alerts.incidents import Incident
from exporter_pipelines.orchestration.dagster_internals.failing_sensors import (
    TICKS,
    failing_sensors,
)
from exporter_pipelines.orchestration.dagster_internals.schedules_on import days_due
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.sources import open_inspection
from exporter_pipelines.stores.opening import open_store

_GIB = 1024**3
_TICK_BUDGET_S = 15.0
"""No further source is tried after this time: each may take its whole connect timeout."""


def missing_days(
    instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, open_of_runs: set[Incident]
) -> dict[Incident, str]:
    """Days that schedules should have exported and that are not published.

    Args:
        instance: Stores the state of the schedules.
        repository: Contains the schedules.
        open_of_runs: Open incidents of runs; a held or failed day is not reported as missing.
    """
    until = time.time() - 60 * alert_settings.alert_missing_after_minutes()
    store, partitions = open_store(), daily_partitions()
    known = {
        (each.subject, each.day) for each in open_of_runs if each.kind in ("day_held", "run_failed")
    }
    found = {}
    for name in exported_names():
        if not repository.has_schedule_def(f"{name}_schedule"):
            continue
        schedule = repository.get_schedule_def(f"{name}_schedule")
        for day in days_due(instance, schedule, until):
            wanted = partitions.has_partition_key(day) and (name, day) not in known
            if wanted and not is_published(store, name, day):
                found[Incident("yesterday_missing", name, day)] = _why_missing(instance, name, day)
    return found


def is_published(store: Store, dataset: str, day: str) -> bool:
    """Whether the day is published."""
    return store.read_manifest(dataset, day) is not None


def _why_missing(instance: dg.DagsterInstance, dataset: str, day: str) -> str:
    asked = dg.RunsFilter(job_name=f"{dataset}_job", tags={"dagster/partition": day})
    runs = instance.get_runs(asked, limit=1)
    if not runs:
        return f"{dataset}_schedule is on, but no run of {day} was started."
    return f"Its last run, {runs[0].run_id}, has the status {runs[0].status.value}."


def unreachable_sources() -> tuple[dict[Incident, str], set[str]]:
    """Variables whose database cannot be reached, and all variables that were tried.

    The sample backend is left out: it is started only when needed.
    """
    found, tried, deadline = {}, set(), time.monotonic() + _TICK_BUDGET_S
    for variable in sorted(set(_variables())):
        if time.monotonic() > deadline:
            break
        try:
            url = settings.source_url(variable)
            if url == settings.DEMO_SOURCE:
                continue
            tried.add(variable)
            open_inspection(url, variable).__exit__(None, None, None)
        except SourceUnavailableError as error:
            found[Incident("source_unreachable", variable)] = str(error)
        except ExporterError:
            continue  # not set or not a URL: runs and the doctor report it
    return found, tried


def _variables() -> Iterator[str]:
    for dataset in Definitions().usable():
        yield dataset.config.source.url


def broken_definitions(_instance: dg.DagsterInstance, _open: Set[Incident]) -> dict[Incident, str]:
    """Datasets and presets whose definition has a mistake, and what it is."""
    found: dict[Incident, str] = {}
    for definition, mistake in Definitions().broken():
        incident = Incident("broken_definition", definition.name)
        found[incident] = "\n".join(filter(None, [found.get(incident), str(mistake)]))
    return found


def low_disk(_instance: dg.DagsterInstance, unresolved: Set[Incident]) -> dict[Incident, str]:
    """The incident if free space at the output is limited and below EXPORTER_ALERT_MIN_FREE_GIB.

    An open incident is resolved at 10 % above the limit.
    """
    store, incident = open_store(), Incident("low_disk", "output")
    limit_gib = alert_settings.alert_min_free_gib()
    enough_gib = limit_gib * (1.1 if incident in unresolved else 1.0)
    free = store.free_bytes()
    if free is None or free / _GIB >= enough_gib:
        return {}
    free_at = f"{free / _GIB:.1f} GiB free at {store.location}"
    return {incident: f"{free_at}; the limit is {limit_gib:g} GiB."}


def failed_sensors(instance: dg.DagsterInstance, _open: Set[Incident]) -> dict[Incident, str]:
    """Sensors whose newest ticks have all failed."""
    return {
        Incident("sensor_failing", name): f"Its last {TICKS} ticks failed: {error}."
        for name, error in failing_sensors(instance)
    }


WATCHED: Mapping[str, Callable[[dg.DagsterInstance, Set[Incident]], dict[Incident, str]]] = {
    "low_disk": low_disk,
    "broken_definition": broken_definitions,
    "sensor_failing": failed_sensors,
}
"""Kind -> what finds its incidents, with the reason of each, from the instance and the open ones.

It is called in each tick. An incident begins when it is found, and is resolved when it is not.
"""
