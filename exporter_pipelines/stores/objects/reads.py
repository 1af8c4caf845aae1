"""What an attempt at a day reads of the output: each pointer and each ledger once.

An export asks several times for the manifest and the ledger of its day, and for the manifests of
other days. Each question is a request. What matters is what was there when the attempt began: the
switch fails if the day has changed since. So the thread of an attempt gets the first answer again.
Other threads, and questions outside of an attempt, are always asked.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.ledger import Ledger
from exporter_pipelines.stores.objects.pointers import Pointer, read_pointer
from exporter_pipelines.stores.objects.staging import ObjectStaging

_FRESH_S = 5.0
"""An attempt that begins so soon after its day was read begins with what was read."""

_DATASET_S = 30.0
"""How long the entries of a dataset, such as its accepted source, and the names of the datasets
are not read again; and how long the day that was published before is known to the next one."""

_Key = tuple[str, str]
_NEVER: tuple[float, list[str]] = (float("-inf"), [])


@dataclass
class _Thread:
    """What one thread has read.

    Attributes:
        attempt: The attempt that it began last, until it is discarded or published.
        pointers: Of other days, read during the attempt.
        last: Key, pointer and entries of the day that was read last, and when.
        published: Key and pointer of the day that this thread published last, and when.
    """

    attempt: ObjectStaging | None = None
    pointers: dict[_Key, Pointer] = field(default_factory=dict)
    last_key: _Key | None = None
    last_pointer: Pointer | None = None
    last_entries: list[Entry] | None = None
    last_at: float = 0.0
    published: tuple[_Key, Pointer, float] | None = None


class AttemptReads:
    """Reads pointers and ledgers for a store."""

    def __init__(self, bucket: Bucket, ledger: Ledger) -> None:
        self._bucket, self._ledger = bucket, ledger
        self._local = threading.local()
        self._of_dataset: dict[str, tuple[float, list[Entry]]] = {}
        self._datasets = _NEVER

    def begin(self, dataset: str, day: str, part_bytes: int) -> ObjectStaging:
        """Begin an attempt at a day."""
        keys.pointer(dataset, day)  # raises for invalid names
        mine, key = self._mine(), (dataset, day)
        mine.attempt = None
        if mine.last_key != key or time.monotonic() - mine.last_at > _FRESH_S:
            mine.last_pointer = mine.last_entries = None
        base = mine.last_pointer or self.pointer(dataset, day)
        # After the pointer: so the entry `publishing` of the published export is among them.
        entries = mine.last_entries
        if entries is None:
            entries = self._ledger.read(dataset, day)[0]
        mine.last_key, mine.pointers = None, {}
        if mine.published and time.monotonic() - mine.published[2] < _DATASET_S:
            mine.pointers[mine.published[0]] = mine.published[1]
        mine.attempt = ObjectStaging(
            self._bucket, dataset, day, base, entries, part_bytes, self.forget
        )
        return mine.attempt

    def published(self, staging: ObjectStaging, pointer: Pointer) -> None:
        """The attempt has published."""
        self.forget(staging)
        self._mine().published = ((staging.dataset, staging.day), pointer, time.monotonic())

    def forget(self, staging: ObjectStaging) -> None:
        """The attempt has ended."""
        mine = self._mine()
        if mine.attempt is staging:
            mine.attempt, mine.pointers = None, {}

    def pointer(self, dataset: str, day: str) -> Pointer:
        """The pointer of a day."""
        mine, key = self._mine(), (dataset, day)
        attempt = mine.attempt
        if attempt is None:
            found = read_pointer(self._bucket, keys.pointer(dataset, day))
            mine.last_key, mine.last_pointer, mine.last_entries = key, found, None
            mine.last_at = time.monotonic()
            return found
        if (attempt.dataset, attempt.day) == key:
            return attempt.base
        if key not in mine.pointers:
            mine.pointers[key] = read_pointer(self._bucket, keys.pointer(dataset, day))
        return mine.pointers[key]

    def known(self, dataset: str, day: str) -> Pointer | None:
        """The pointer of a day, if this attempt has read it."""
        mine, key = self._mine(), (dataset, day)
        if mine.attempt and (mine.attempt.dataset, mine.attempt.day) == key:
            return mine.attempt.base
        return mine.pointers.get(key) if mine.attempt else None

    def remember(self, dataset: str, day: str, pointer: Pointer) -> None:
        """A pointer that was read for this attempt by another thread."""
        mine = self._mine()
        if mine.attempt:
            mine.pointers[dataset, day] = pointer

    def entries(self, dataset: str, day: str | None) -> list[Entry]:
        """The entries of a day or a dataset, oldest first."""
        if day is None:
            return self._entries_of_dataset(dataset)
        mine, attempt = self._mine(), self._mine().attempt
        if attempt and (attempt.dataset, attempt.day) == (dataset, day):
            return list(attempt.entries)
        found = self._ledger.read(dataset, day)[0]
        if attempt is None and mine.last_key == (dataset, day):
            mine.last_entries = found
        return list(found)

    def datasets(self) -> list[str]:
        """Names of the datasets with a ledger, sorted."""
        at, found = self._datasets
        if time.monotonic() - at > _DATASET_S:
            found = self._ledger.datasets()
            self._datasets = (time.monotonic(), found)
        return list(found)

    def recorded(self, entry: Entry) -> None:
        """An entry was added."""
        mine = self._mine()
        self._of_dataset.pop(entry.dataset, None)
        if entry.dataset not in self._datasets[1]:
            self._datasets = _NEVER
        mine.last_key = None
        attempt = mine.attempt
        if attempt and (attempt.dataset, attempt.day) == (entry.dataset, entry.day):
            attempt.entries.append(entry)

    def _entries_of_dataset(self, dataset: str) -> list[Entry]:
        at, found = self._of_dataset.get(dataset, (float("-inf"), []))
        if time.monotonic() - at > _DATASET_S:
            found = self._ledger.read(dataset, None)[0]
            self._of_dataset[dataset] = (time.monotonic(), found)
        return list(found)

    def _mine(self) -> _Thread:
        if not hasattr(self._local, "thread"):
            self._local.thread = _Thread()
        thread: _Thread = self._local.thread
        return thread
