"""A prune whose clock or whose number of days looks wrong is refused."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli import main
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.publication import Publication
from exporter_pipelines.engine.prune import Prune, apply_prune, plan_prune
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, outcome_of

FIRST = dt.date(2026, 1, 1)


def logs(**retention: int) -> Dataset:
    return dataset(retention={"keep_days": 10, "keep_at_least": 1, **retention})


@pytest.fixture
def hundred_days(store: LocalStore) -> LocalStore:
    """A hundred published days, the last of them yesterday, each recorded on its own evening."""
    store.adopt("logs")
    for back in range(100, 0, -1):
        day, at = clock(days=-back).date().isoformat(), clock(days=1 - back)
        with store.begin("logs", day) as staging:
            entry = Entry(event="published", dataset="logs", day=day, source_rows=1, at=at)
            store.switch(staging, Publication(day.encode(), entry))
    return store


def clock(**ahead: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**ahead)


def plan(store: LocalStore, keep_days: int, now: dt.datetime | None = None) -> Prune:
    now = now or clock()
    return plan_prune(store, logs(keep_days=keep_days), now.date(), now)


def test_a_clock_that_is_years_ahead_removes_nothing(hundred_days: LocalStore) -> None:
    later = clock(days=11 * 365)
    found = plan(hundred_days, 3650, later)
    assert len(found.removals) == 99
    assert "days after the newest entry of the ledger" in found.refused


def test_a_clock_that_is_behind_removes_nothing(hundred_days: LocalStore) -> None:
    assert "before the newest entry" in plan(hundred_days, 10, clock(hours=-2)).refused
    assert not plan(hundred_days, 95, clock(days=1)).refused


def test_too_many_days_are_refused(hundred_days: LocalStore) -> None:
    assert "it would remove 31 of 100 published days" in plan(hundred_days, 70).refused
    assert not plan(hundred_days, 82).refused
    assert len(plan(hundred_days, 82).removals) == 19


def test_seven_days_may_be_removed_whatever_their_share(store: LocalStore) -> None:
    store.adopt("logs")
    for number in range(8):
        day = str(FIRST + dt.timedelta(days=number))
        with store.begin("logs", day) as staging:
            store.switch(
                staging,
                Publication(day.encode(), Entry(event="published", dataset="logs", day=day)),
            )
    found = plan(store, 1)
    assert (len(found.removals), found.refused) == (7, "")


def test_each_prune_is_an_entry(hundred_days: LocalStore) -> None:
    removed = []
    for _ in range(2):
        now = clock()
        removed.append(len(list(apply_prune(hundred_days, plan(hundred_days, 95, now)))))
    assert removed[0] > 0 == removed[1]
    pruned = [e for e in hundred_days.entries("logs", None) if e.event == "pruned"]
    assert [entry.reason for entry in pruned] == [f"{removed[0]} removed", "0 removed"]


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prune", *arguments])


def test_the_command_says_why_and_removes_with_force(
    hundred_days: LocalStore, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = dataset(retention={"keep_days": 1})
    monkeypatch.setattr("exporter_pipelines.defs_files.Definitions.usable", lambda _self: [limited])
    days = hundred_days.published_days("logs")
    listed = command()
    assert (listed.exit_code, "Warning: logs: the prune is refused" in listed.output) == (0, True)
    refused = command("--apply")
    assert (refused.exit_code, "add --force" in refused.output) == (1, True)
    assert hundred_days.published_days("logs") == days
    assert command("--apply", "--force").exit_code == 0
    assert len(hundred_days.published_days("logs")) == 7


def test_replaced_exports_are_kept_by_the_time_in_the_ledger(
    backend: Backend, store: LocalStore
) -> None:
    day = "2026-11-01"
    backend.add_logs(day, 100)
    outcome_of(backend.url, dataset(), day, store)
    backend.run("DELETE FROM logs WHERE id <= 5")
    assert outcome_of(backend.url, dataset(), day, store).manifest
    [(kept_day, name)] = store.replaced_exports("logs")
    assert kept_day == day
    os.utime(store.root / "logs" / ".replaced" / name, (0, 0))  # file times do not count
    now = dt.datetime.now(dt.UTC)
    store.clean_up("logs")
    list(apply_prune(store, plan_prune(store, dataset(), now.date(), now)))
    assert len(store.replaced_exports("logs")) == 1
    soon = now + dt.timedelta(days=29)
    assert not plan_prune(store, dataset(), soon.date(), soon).replaced
    late = now + dt.timedelta(days=31)
    expired = plan_prune(store, dataset(), late.date(), late)
    assert [replaced.name for replaced in expired.replaced] == [name]
    assert "The clock may be wrong" in expired.refused
    # An entry that was written meanwhile does not make the clock right.
    store.record(Entry(event="held", dataset="logs", day=day, at=late - dt.timedelta(hours=1)))
    again = plan_prune(store, dataset(), late.date(), late)
    assert "have been wrong" in again.refused
    assert len(list(apply_prune(store, again))) == 1
    assert store.replaced_exports("logs") == []


def test_a_replaced_day_with_a_time_in_the_future_is_removed_in_the_end(
    store: LocalStore, tmp_path: Path
) -> None:
    for content in (b"one", b"two"):
        with store.begin("logs", "2026-11-01") as staging:
            entry = Entry(event="published", dataset="logs", day="2026-11-01")
            store.switch(staging, Publication(content, entry))
    [replaced] = (store.root / "logs" / ".superseded").iterdir()
    ahead = time.time() + 11 * 365 * 86_400
    os.utime(replaced, (ahead, ahead))
    store.clean_up("logs")
    assert abs(replaced.stat().st_mtime - time.time()) < 60
    os.utime(replaced, (0, 0))
    store.clean_up("logs")
    assert not replaced.exists()
