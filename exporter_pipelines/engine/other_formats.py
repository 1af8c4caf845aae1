"""The published days that the loading code of a dataset card does not read.

The code names the files of one format and compression. After a change of `format:` or
`compression:`, older days have other files, and a glob pattern skips them without a word. So the
card lists these days. All days are looked at once, when the card of another format is replaced;
afterwards the list is taken from the card.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.store import Store

_LINE = re.compile(r"^- (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d): `\*(\.[^`]+)`$", re.MULTILINE)
# A dataset's name and a day have no dot; a part of a day has its generation and number.
_BEFORE_SUFFIX = re.compile(r"^[^.]*(\.[0-9a-f]+\.part-\d{5})?")
_ONE_DAY = dt.timedelta(days=1)

NO_FILES = "No published day has rows in this format yet, so there is no file to load."
"""In a card without loading code."""


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
    card = _card(store, dataset, pattern)
    if not card:
        return _found(store, dataset, day, suffix)
    listed = (OtherDays(*found) for found in _LINE.findall(card))
    return [rest for each in listed for rest in _without(each, day)]


def other_days_have_files(store: Store, dataset: str, day: str, pattern: str, suffix: str) -> bool:
    """Whether the loading code finds a file when a day is published without one.

    The card answers that, unless the day had the last files. So a long history of empty days costs
    no look at the other days.

    Args:
        store, dataset, day, pattern, suffix: As for `days_in_other_formats`.
    """
    card = _card(store, dataset, pattern)
    had_files = suffix in _suffixes(store, dataset, day)
    if card and not had_files:
        return NO_FILES not in card
    # The newest days first, since most histories begin with the days that are empty.
    others = (each for each in reversed(store.published_days(dataset)) if each != day)
    return any(suffix in _suffixes(store, dataset, each) for each in others)


def _card(store: Store, dataset: str, pattern: str) -> str:
    """The dataset card, if its code reads these files; otherwise empty."""
    card = (store.read_dataset_file(dataset, "README.md") or b"").decode(errors="replace")
    return card if f" {pattern}\n" in card else ""


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
    return next(iter(sorted(_suffixes(store, dataset, day) - {suffix})), None)


def _suffixes(store: Store, dataset: str, day: str) -> Set[str]:
    """The suffixes of a day's data files; none for a day that is not published."""
    try:
        with store.published_day(dataset, day) as folder:
            names = [name for name in folder.names() if name != MANIFEST_NAME]
    except OSError:  # `exporter verify` reports it
        return set()
    return {_BEFORE_SUFFIX.sub("", name) for name in names if "." in name}


def _without(days: OtherDays, day: str) -> Iterator[OtherDays]:
    if not days.first <= day <= days.last:
        yield days
        return
    date = dt.date.fromisoformat(day)
    if days.first < day:
        yield replace(days, last=str(date - _ONE_DAY))
    if day < days.last:
        yield replace(days, first=str(date + _ONE_DAY))
