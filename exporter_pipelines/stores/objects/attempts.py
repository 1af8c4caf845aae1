"""The objects that name the attempts at a day, from their begin until nothing is left to do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket


@dataclass(frozen=True)
class Attempt:
    """The object of an attempt.

    Attributes:
        key: Of the object.
        day: Of the attempt.
        name: Its id.
        base: Which attempt it replaces; None for the first export of a day.
        begun: When it began, by the clock of the store.
    """

    key: str
    day: str
    name: str
    base: str | None
    begun: dt.datetime


def attempts_of(bucket: Bucket, dataset: str, day: str | None = None) -> list[Attempt]:
    """The attempts that have an object, by day."""
    found = []
    for each in bucket.listed(keys.attempts(dataset, day)):
        name, _, base = each.name.partition(".")
        of_day = layout.day_of(each.key.rpartition("/")[0].rpartition("/")[2])
        if of_day and base:
            replaced = None if base == keys.NO_BASE else base
            found.append(Attempt(each.key, of_day, name, replaced, each.modified))
    return found
