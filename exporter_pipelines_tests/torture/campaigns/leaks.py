"""Raw values that the masking missed are planted into exports, which must all be held.

And clean days, which must all be published. Each is an export of its own from a real database.
"""

from __future__ import annotations

import os
from typing import Any

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
    many_addresses,
    planted,
)
from exporter_pipelines_tests.support.private_days import DAY, KEY, KEY_NAME
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.PRIVATE

_MANY = 100_000


def run(trial: Trial) -> None:
    """200 planted values of ten kinds in five places, and 200 clean days, in every format."""
    os.environ[KEY_NAME] = KEY
    for number in trial.rounds(200, "planted values", share=0.5):
        _plant(trial, number)
    for number in trial.rounds(200, "clean days"):
        rows = many_addresses(_MANY) if number == 0 else hostile_rows(trial.dice, 60)
        _clean(trial, number, rows)
    trial.figures["addresses of one day"] = f"{_MANY:,}"


def _plant(trial: Trial, number: int) -> None:
    kind = list(PLANTED)[number % len(PLANTED)]
    place = PLACES[number // len(PLANTED) % len(PLACES)]
    value = PLANTED[kind](trial.dice)
    folder = trial.folder / f"planted-{number}"
    folder.mkdir()
    url = database_of(folder / "logs.db", hostile_rows(trial.dice, 60))
    store = LocalStore(folder / "exports")
    what = f"{kind} {value!r} in {place}"
    try:
        with planted(value, place, trial.dice):
            export(url, leaky(format=_format(number)), DAY, store)
    except DayHeldError as held:
        column = place.rpartition(" ")[2]
        says = f" in {column}" in str(held) and value.lower() not in str(held).lower()
        trial.check(says, f"{what}: {held}", part="planted")
    else:
        trial.check(False, f"{what} was published", part="planted")


def _clean(trial: Trial, number: int, rows: list[tuple[Any, ...]]) -> None:
    folder = trial.folder / f"clean-{number}"
    folder.mkdir()
    url = database_of(folder / "logs.db", rows)
    with trial.guarded(f"clean day {number}", part="clean"):
        export(url, leaky(format=_format(number)), DAY, LocalStore(folder / "exports"))


def _format(number: int) -> str:
    return list(FORMATS)[number % len(FORMATS)]
