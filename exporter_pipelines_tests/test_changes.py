"""`_changes.jsonl` has the lines that follow from the ledger, and is not read for each day."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from exporter_pipelines.contracts.changes import CHANGES_FILE, Change
from exporter_pipelines.contracts.ledger import Entry, Event
from exporter_pipelines.engine.changes import changes_file, write_changes
from exporter_pipelines.stores import LocalStore

FIRST = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
DAYS = [f"2026-10-{number:02}" for number in range(1, 31)]


def record(store: LocalStore, day: str, event: Event, at: dt.datetime, version: str | None) -> None:
    part = "day" if event == "removed" else None
    store.record(
        Entry(event=event, dataset="logs", day=day, at=at, data_version=version, rows=1, part=part)
    )
    write_changes(store, "logs", day)


def content(store: LocalStore) -> bytes:
    return store.read_dataset_file("logs", CHANGES_FILE) or b""


@pytest.mark.parametrize("seed", range(20))
def test_the_file_is_as_if_it_was_made_of_the_whole_ledger(store: LocalStore, seed: int) -> None:
    random_ = random.Random(seed)
    file = store.root / "logs" / CHANGES_FILE
    for number in range(40):
        at = FIRST + dt.timedelta(seconds=number)
        if random_.random() < 0.2:  # another run recorded its day between these
            at -= dt.timedelta(seconds=random_.randrange(5), milliseconds=1)
        version = f"{random_.randrange(3):064}"
        event: Event = "removed" if random_.random() < 0.15 else "published"
        record(store, random_.choice(DAYS[:12]), event, at, version)
        if random_.random() < 0.1:  # somebody changed it: it is damaged
            file.write_bytes(content(store)[:-9])
    last = random_.choice(DAYS)
    record(store, last, "published", FIRST + dt.timedelta(days=1), f"{9:064}")
    kept = content(store)
    file.unlink()
    assert kept == changes_file(store, "logs", last)
    assert kept.count(b"\n") > 10


def test_a_range_of_days_does_not_read_the_lines_of_the_days_before(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, judge = list[object](), Change.model_validate_json

    def noted(line: bytes) -> Change:
        read.append(line)
        return judge(line)

    monkeypatch.setattr(Change, "model_validate_json", noted)
    for number, day in enumerate(DAYS):
        record(store, day, "published", FIRST + dt.timedelta(seconds=number), f"{number:064}")
    assert [Change.model_validate_json(line).day for line in content(store).splitlines()] == DAYS
    assert len(read) == len(DAYS), "only this test has read them"
    record(store, DAYS[3], "published", FIRST + dt.timedelta(days=1), f"{99:064}")
    assert len(read) > len(DAYS), "a day that is exported again has a line in the file"


def test_a_day_with_several_changes_while_the_clock_went_back_is_appended_in_order(
    store: LocalStore,
) -> None:
    record(store, DAYS[0], "published", FIRST, f"{1:064}")
    for seconds, version in ((20, 2), (10, 3)):  # the file could not be written
        at = FIRST + dt.timedelta(seconds=seconds)
        store.record(
            Entry(
                event="published", dataset="logs", day=DAYS[1], at=at, data_version=f"{version:064}"
            )
        )
    write_changes(store, "logs", DAYS[1])
    times = [Change.model_validate_json(line).at for line in content(store).splitlines()]
    assert times == sorted(times)
