"""The leak check in real exports: planted raw values hold the day, clean days are published.

`make torture ARGS=leaks` does the same with 200 values and 200 days.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from exporter_pipelines.errors import DayHeldError
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import export
from exporter_pipelines_tests.support.leaking_days import (
    PLACES,
    PLANTED,
    database_of,
    hostile_rows,
    leaky,
    planted,
)
from exporter_pipelines_tests.support.private_days import DAY, KEY, KEY_NAME, everything_below


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=list(PLANTED))
def test_a_raw_value_that_was_missed_holds_the_day(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    dice = random.Random(number)
    kind, place = list(PLANTED)[number], PLACES[number % len(PLACES)]
    value = PLANTED[kind](dice)
    url = database_of(tmp_path / "logs.db", hostile_rows(dice, 40))
    exported = leaky(format=list(FORMATS)[number % len(FORMATS)])
    with planted(value, place, dice), pytest.raises(DayHeldError) as held:
        export(url, exported, DAY, store)
    assert f" in {place.rpartition(' ')[2]}" in str(held.value)
    assert value.lower() not in str(held.value).lower()
    assert store.read_manifest("logs", DAY) is None
    assert value.lower() not in everything_below(store.root)


@pytest.mark.parametrize("number", range(8))
def test_a_clean_day_is_published(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    url = database_of(tmp_path / "logs.db", hostile_rows(random.Random(100 + number), 60))
    exported = leaky(format=list(FORMATS)[number % len(FORMATS)])
    assert export(url, exported, DAY, store).counts.exported == 60
