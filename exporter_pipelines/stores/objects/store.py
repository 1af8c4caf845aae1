"""Stores exports in a bucket and publishes them atomically; `keys` has the names of all objects.

A day is published by one conditional write of its pointer, so a reader of the pointer finds all of
the old day or all of the new one. The order of the other writes keeps every moment repairable:

    begin    pointer read, ledger read, object of the attempt written
    stage    data files under the name of the attempt, rejected rows in the quarantine
    switch   entry `publishing`, card and schemas, fingerprint, THE POINTER,
             view, pointer read again, entry `published`
    later    the sweep removes what was replaced
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.publication import (
    GenerationChangedError,
    NewTombstone,
    Publication,
    generation_of,
)
from exporter_pipelines.contracts.retention import Part
from exporter_pipelines.contracts.staged_day import Staging
from exporter_pipelines.errors import DayUnavailableError, OutputUnavailableError
from exporter_pipelines.stores.adopted import adopted_entry
from exporter_pipelines.stores.objects import keys, quarantine, removal
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.marker import create_marker
from exporter_pipelines.stores.objects.pointers import (
    Pointer,
    read_pointer,
    switch,
)
from exporter_pipelines.stores.objects.staging import ObjectStaging
from exporter_pipelines.stores.objects.store_reads import ObjectStoreReads
from exporter_pipelines.stores.objects.sweep import Times, dead_attempts, sweep

PART_MIB = 16
"""Default size of the parts of a large file: 10,000 of them are 156 GiB."""

_SWEEP_EVERY_S = 600
_log = logging.getLogger(__name__)


class ObjectStore(ObjectStoreReads):
    """Implements `contracts.store.Store` in a bucket.

    Args:
        bucket: Where.
        view: `copy` or `none`, see `view`.
        part_bytes: Size of the parts in which large files are written.
        times: When the sweep removes something.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        view: str = "copy",
        part_bytes: int = PART_MIB * 1024 * 1024,
        times: Times | None = None,
    ) -> None:
        super().__init__(bucket, view, part_bytes)
        self.times = times or Times()
        self._swept: dict[str, float] = {}
        self._salt: str | None = None

    # Writing

    def begin(self, dataset: str, day: str) -> ObjectStaging:
        """See `contracts.store.Store`."""
        self._sweep_sometimes(dataset)
        return self._reads.begin(dataset, day, self._part_bytes)

    def switch(self, staging: Staging, publication: Publication) -> None:
        """See `contracts.store.Store`."""
        mine = _own(staging)
        dataset, day, base = mine.dataset, mine.day, mine.base
        self._begin_ledger_once(dataset)
        begun = self._begin_switch(mine, publication)
        self._write_other_files(mine, publication)
        new = Pointer(None, None, mine.generation, publication.manifest, mine.data_files())
        # Until the outcome is known, also when this process is interrupted, nothing is removed.
        mine.state.unknown = True
        try:
            switch(self.bucket, keys.pointer(dataset, day), base, new)
        except (GenerationChangedError, DayUnavailableError):
            mine.state.unknown = False
            raise
        mine.state.published, mine.state.unknown = True, False
        if publication.quarantine:
            mine.state.kept = (publication.quarantine,)
        self._reads.published(mine, new)
        try:
            self.view.follow(dataset, day, base, new)
            self._ledger.append(begun.done(), mine.entries)
            self._clear_quarantine(mine, begun)
            mine.state.complete = True
            if publication.drop_replaced:
                self._drop_earlier(dataset, day)
        except OutputUnavailableError as error:
            # The day is published, so its run must not fail. The sweep repeats what is missing.
            _log.warning("%s %s is published, but not its copy in data/. %s", dataset, day, error)

    def hold(self, staging: Staging, quarantine_name: str) -> str:
        """See `contracts.store.Store`."""
        mine = _own(staging)
        dataset, day = mine.dataset, mine.day
        mine.state.kept = (quarantine_name,)
        published = read_pointer(self.bucket, keys.pointer(dataset, day))
        if published.manifest is None or Manifest.if_readable(published.manifest):
            # Otherwise it is not known which file belongs to the published day.
            keep = {quarantine_name, quarantine.named_by(published)}
            own = mine.generation
            quarantine.remove_others(self.bucket, dataset, day, published, keep, own)
        mine.discard()  # now, so that no sweep takes the held rows for those of a dead attempt
        return self.bucket.location.uri(f"{keys.quarantine(dataset, day)}/{quarantine_name}")

    def remove(
        self,
        entry: Entry,
        *,
        tombstone: NewTombstone,
        dataset_files: Callable[[], Mapping[str, bytes]] = dict,
    ) -> bool:
        """See `contracts.store.Store`."""
        dataset, day, part = entry.dataset, entry.day, entry.part
        assert day, entry
        assert part, entry
        published = read_pointer(self.bucket, keys.pointer(dataset, day))
        if generation_of(published.manifest) != entry.generation:
            return False
        if not self._is_there(dataset, day, part, published):
            return False
        self._settle(dataset, day, entry.generation)
        self._ledger.append(entry)
        earlier = self.read_tombstone(dataset, day)
        key = keys.tombstone(dataset, day)
        self.bucket.write(key, tombstone(earlier, published.manifest))
        self.write_dataset_files(dataset, dataset_files)
        if part == "quarantine":
            removal.remove_quarantine(self.bucket, dataset, day, published)
        elif not removal.remove_day(self.bucket, self.view, dataset, day, published):
            # The day was published again, so nothing was removed.
            if earlier is None:
                self.bucket.remove([key])
            else:
                self.bucket.write(key, earlier)
            return False
        with suppress(OutputUnavailableError):  # `_settle` adds the entry later
            self._ledger.append(entry.done())
        return True

    def replaced_exports(self, dataset: str) -> list[tuple[str, str]]:
        """See `contracts.store.Store`."""
        return removal.replaced_exports(self.bucket, dataset)

    def remove_replaced(self, dataset: str, name: str) -> bool:
        """See `contracts.store.Store`."""
        return removal.remove_replaced(self.bucket, dataset, name)

    def remove_superseded(self, dataset: str, day: str | None = None) -> None:
        """See `contracts.store.Store`. Attempts that have not published yet are abandoned."""
        sweep(self.bucket, self.view, self._ledger, dataset, Times.at_once(), day)

    def write_dataset_files(self, dataset: str, files: Callable[[], Mapping[str, bytes]]) -> None:
        """See `contracts.store.Store`."""
        self._files.replace(dataset, files)

    # The ledger

    def adopt(self, dataset: str) -> int:
        """See `contracts.store.Store`. Writes nothing for a dataset that has no published day."""
        if self.has_ledger(dataset) or not self.published_days(dataset):
            return 0
        return self._begin_ledger(dataset)

    def record(self, entry: Entry) -> None:
        """See `contracts.store.Store`."""
        self._begin_ledger_once(entry.dataset)
        self._ledger.append(entry)
        self._reads.recorded(entry)

    def salted(self, text: str) -> str:
        """See `contracts.store.Store`."""
        if self._salt is None:
            self._salt = create_marker(self.bucket).salt
        return hashlib.sha256(f"{self._salt}{text}".encode()).hexdigest()[:32]

    # Upkeep

    def dead_attempts(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return dead_attempts(self.bucket, dataset, self.times)

    def clean_up(self, dataset: str) -> None:
        """See `contracts.store.Store`."""
        self._swept[dataset] = time.monotonic()
        sweep(self.bucket, self.view, self._ledger, dataset, self.times)

    # Steps

    def _sweep_sometimes(self, dataset: str) -> None:
        """Clean up, but not at every day of a backfill. It must not fail the day."""
        last = self._swept.get(dataset)
        if last is None or time.monotonic() - last > _SWEEP_EVERY_S:
            with suppress(OutputUnavailableError, FileNotFoundError):
                self.clean_up(dataset)

    def _drop_earlier(self, dataset: str, day: str) -> None:
        """Remove every earlier export of a day that was just published."""
        for of, name in self.replaced_exports(dataset):
            if of == day:
                self.remove_replaced(dataset, name)
        self.remove_superseded(dataset, day)

    def _begin_ledger_once(self, dataset: str) -> None:
        if not self.has_ledger(dataset):
            self._begin_ledger(dataset)

    def _begin_ledger(self, dataset: str) -> int:
        create_marker(self.bucket)
        adopted = 0
        for day in self.published_days(dataset):
            data = self.read_manifest(dataset, day)
            if data is not None and not self._ledger.read(dataset, day)[0]:
                self._ledger.append(adopted_entry(dataset, day, data), [])
                adopted += 1
        entry = Entry(event="adopted", dataset=dataset, reason=f"{adopted} days")
        self._ledger.append(entry)
        self._begun.add(dataset)
        return adopted

    def _settle(self, dataset: str, day: str, generation: str | None) -> None:
        """Add the entry that a killed process could not write after its last step."""
        record = DayRecord.of(self._ledger.read(dataset, day)[0], generation)
        if record.unfinished:
            self._ledger.append(record.unfinished.done())

    def _begin_switch(self, mine: ObjectStaging, publication: Publication) -> Entry:
        """Record in the ledger that the day is about to be published."""
        record = DayRecord.of(mine.entries, generation_of(mine.base.manifest))
        if record.unfinished:
            self._append(mine, record.unfinished.done())
        known: dict[str, object] = {
            "event": "publishing",
            "generation": generation_of(publication.manifest),
            "replaces": generation_of(mine.base.manifest),
        }
        if publication.keep_replaced and mine.base.manifest is not None:
            known["kept_as"] = mine.attempt
            mine.keep_base()
        begun = publication.entry.model_copy(update=known)
        self._append(mine, begun)
        return begun

    def _append(self, mine: ObjectStaging, entry: Entry) -> None:
        self._ledger.append(entry, mine.entries)
        mine.entries.append(entry)

    def _write_other_files(self, mine: ObjectStaging, publication: Publication) -> None:
        """Write the objects that must exist before the switch."""
        self._files.replace(mine.dataset, publication.dataset_files)
        if publication.fingerprint:
            generation = generation_of(publication.manifest) or ""
            key = keys.fingerprint(mine.dataset, mine.day, generation)
            self.bucket.write(key, f"{generation} {publication.fingerprint}\n".encode())

    def _clear_quarantine(self, mine: ObjectStaging, begun: Entry) -> None:
        """Remove the rejected rows of earlier attempts, if there may be any."""
        dataset, day, base = mine.dataset, mine.day, mine.base
        if begun.kept_as:
            quarantine.move_to_replaced(
                self.bucket, dataset, day, base, begun.kept_as, self._part_bytes
            )
        before = [entry for entry in mine.entries if entry.entry != begun.entry]
        first = base.attempt is None and not before
        last = before[-1].event if before else ""
        usual = last in ("published", "adopted") and not quarantine.named_by(base)
        if not (first or usual) or base.manifest == b"":
            keep = mine.state.kept
            own = mine.generation
            quarantine.remove_others(self.bucket, dataset, day, base, keep, own)

    def _is_there(self, dataset: str, day: str, part: Part, published: Pointer) -> bool:
        if part == "day":
            return published.manifest is not None
        return bool(self.bucket.listed(keys.quarantine(dataset, day)))


def _own(staging: Staging) -> ObjectStaging:
    if not isinstance(staging, ObjectStaging):
        raise TypeError(f"{type(staging).__name__} is not a staging area of an object store")
    return staging
