"""The ledger in a bucket: one object for each entry, created once and never changed.

    .ledger/<dataset>/date=<day>/000004-published-<id>.jsonl

The number is one more than the largest that its writer knew, so the order does not depend on
clocks. Each object also repeats the entries before it, the newest `_REPEATED`: a reader lists the
names and usually reads one object.

Entries of two attempts may have the same number. `published` and `removed` then come first: they
end a step that began before the other one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket, Listed

_REPEATED = 50
_NAME = re.compile(r"(\d+)-([a-z_]+)-([0-9a-f]+)\.jsonl")
_ENDS = ("published", "removed")


@dataclass(frozen=True)
class _Name:
    number: int
    event: str
    id: str
    key: str

    @property
    def order(self) -> tuple[int, bool, str]:
        return (self.number, self.event not in _ENDS, self.id)


class Ledger:
    """The entries of all datasets; entries that were read once are kept in memory."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[str, Entry] = {}
        self._newest: dict[str, int] = {}

    def read(self, dataset: str, day: str | None) -> tuple[list[Entry], int]:
        """The entries of a day or dataset, oldest first, and the number of damaged objects."""
        names, damaged = self._list(keys.ledger(dataset, day))
        # The newest first: it repeats those before it.
        for name in reversed(names):
            if name.id not in self._known:
                found = self._bucket.read(name.key)
                self._learn(found.content if found else b"")
                damaged += name.id not in self._known
        ids = dict.fromkeys(name.id for name in names)  # two runs may have recorded the same step
        return [self._known[each] for each in ids if each in self._known], damaged

    def append(self, entry: Entry, before: Sequence[Entry] | None = None) -> None:
        """Add an entry.

        Args:
            entry: The entry.
            before: The entries before it, if the caller has them; otherwise they are listed.
        """
        prefix = keys.ledger(entry.dataset, entry.day)
        if before is None:
            names = self._list(prefix)[0]
            before = [self._known[name.id] for name in names if name.id in self._known]
        number = self._newest.get(prefix, 0) + 1
        lines = (each.to_line() for each in [*before[-_REPEATED:], entry])
        key = f"{prefix}/{number:06}-{entry.event}-{entry.entry}.jsonl"
        self._bucket.write(key, b"".join(lines))
        self._known[entry.entry], self._newest[prefix] = entry, number

    def is_begun(self, dataset: str) -> bool:
        """Whether the published days of a dataset were adopted; asks with one request."""
        names, _ = self._list(keys.ledger(dataset, None))
        return any(name.event == "adopted" for name in names)

    def datasets(self) -> list[str]:
        """Names of the datasets with a ledger, sorted."""
        return self._bucket.folders(layout.LEDGER)

    def days(self, dataset: str) -> list[str]:
        """The days with entries, oldest first."""
        prefix = keys.ledger(dataset, None).rpartition("/")[0]
        found = (layout.day_of(name) for name in self._bucket.folders(prefix))
        return sorted(day for day in found if day)

    def _list(self, prefix: str) -> tuple[list[_Name], int]:
        names, others = _names(self._bucket.listed(prefix))
        self._newest[prefix] = max((name.number for name in names), default=0)
        return names, others

    def _learn(self, content: bytes) -> None:
        for line in content.split(b"\n"):
            try:
                if line:
                    entry = Entry.model_validate_json(line)
                    self._known.setdefault(entry.entry, entry)
            except ValidationError:
                continue  # `read` counts the object whose own entry is missing


def _names(objects: Iterable[Listed]) -> tuple[list[_Name], int]:
    """The names of entries in their order, and the number of objects that are none."""
    names, others = [], 0
    for each in objects:
        match = _NAME.fullmatch(each.name)
        if match:
            names.append(_Name(int(match[1]), match[2], match[3], each.key))
        else:
            others += 1
    return sorted(names, key=lambda name: name.order), others
