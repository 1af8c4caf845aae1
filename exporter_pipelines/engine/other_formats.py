"""The published days that the loading code of a dataset card does not read.

The code names the files of one format and compression. After a change of `format:` or
`compression:`, older days have other files, and a glob pattern skips them without a word. So the
card lists these days. All days are looked at once, when the card of another format is replaced;
afterwards the list is taken from the card.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.store import Store

_LINE = re.compile(r"^- (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d): `\*(\.[^`]+)`$", re.MULTILINE)
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class OtherDays:
    """Days in a row whose files have another suffix than the dataset's format.

    Attributes:
        first, last: `YYYY-MM-DD`; days without an export may be in between.
        suffix: Of their files, such as `.jsonl.gz`.
    """

    first: str
    last: str
    suffix: str

    def line(self) -> str:
        """As the card shows it."""
        return f"- {self.first} to {self.last}: `*{self.suffix}`"


def days_in_other_formats(
    store: Store, dataset: str, day: str, pattern: str, suffix: str
) -> list[OtherDays]:
    """The days that the new card must list.

    Args:
        store: Has the published days, and the card that will be replaced.
        dataset: Its name.
        day: The day that is about to be published, in the dataset's format.
        pattern: Of the files that the new card's code reads, as its header shows it.
        suffix: Of these files.
    """
    card = (store.read_dataset_file(dataset, "README.md") or b"").decode(errors="replace")
    if f" {pattern}\n" not in card:
        return _found(store, dataset, day, suffix)
    listed = (OtherDays(*found) for found in _LINE.findall(card))
    return [rest for each in listed for rest in _without(each, day)]


def _found(store: Store, dataset: str, day: str, suffix: str) -> list[OtherDays]:
    """Look at the file names of all published days."""
    ranges: list[OtherDays] = []
    is_new_range = True
    for each in store.published_days(dataset):
        other = None if each == day else _other_suffix(store, dataset, each, suffix)
        if other is None:
            is_new_range = True
        elif is_new_range or ranges[-1].suffix != other:
            ranges.append(OtherDays(each, each, other))
            is_new_range = False
        else:
            ranges[-1] = replace(ranges[-1], last=each)
    return ranges


def _other_suffix(store: Store, dataset: str, day: str, suffix: str) -> str | None:
    """The suffix of a day's files, if it is another one; None for a day without files."""
    try:
        with store.published_day(dataset, day) as folder:
            names = [name for name in folder.names() if name != MANIFEST_NAME]
    except OSError:  # `exporter verify` reports it
        return None
    # A dataset's name and a day have no dot.
    found = {name[name.find(".") :] for name in names if "." in name}
    return next(iter(sorted(found - {suffix})), None)


def _without(days: OtherDays, day: str) -> Iterator[OtherDays]:
    if not days.first <= day <= days.last:
        yield days
        return
    date = dt.date.fromisoformat(day)
    if days.first < day:
        yield replace(days, last=str(date - _ONE_DAY))
    if day < days.last:
        yield replace(days, first=str(date + _ONE_DAY))
