"""Stores exports in a local folder and publishes them atomically; `stores.layout` has the paths.

A day is published by exchanging its folder with the staged one (`renameat2`), so a reader finds
all of the old day or all of the new one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress

from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.publication import (
    GenerationChangedError,
    NewTombstone,
    Publication,
    generation_of,
)
from exporter_pipelines.contracts.staged_day import Staging
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local import ledger, removal
from exporter_pipelines.stores.local.adoption import adopt
from exporter_pipelines.stores.local.cleanup import (
    clean_up,
    dataset_files_lock,
    day_lock,
    ledger_lock,
)
from exporter_pipelines.stores.local.files import make_folder, replace_file
from exporter_pipelines.stores.local.fingerprints import (
    drop_fingerprint,
    move_out_of_manifests,
    write_fingerprint,
)
from exporter_pipelines.stores.local.marker import create_marker
from exporter_pipelines.stores.local.quarantine import (
    drop_quarantine,
    keep_old_quarantine,
    keep_quarantine,
    remove_old_quarantine,
    remove_quarantine_of_earlier_holds,
)
from exporter_pipelines.stores.local.staging import LocalStaging
from exporter_pipelines.stores.local.store_reads import LocalStoreReads
from exporter_pipelines.stores.local.switching import exchange_days


class LocalStore(LocalStoreReads):
    """Implements `contracts.store.Store` in a local folder.

    Args:
        root: Absolute path of the output folder; created by the first export.
    """

    # Writing

    def begin(self, dataset: str, day: str) -> LocalStaging:
        """See `contracts.store.Store`."""
        self.day_folder(dataset, day)  # raises for invalid names
        self.clean_up(dataset)
        staging = LocalStaging(self.root, dataset, day)
        try:
            staging.base = generation_of(self.read_manifest(dataset, day))
        except BaseException:  # raised again; no one else can discard it
            staging.discard()
            raise
        return staging

    def switch(self, staging: Staging, publication: Publication) -> None:
        """See `contracts.store.Store`.

        The quarantine is moved first, so that a reader of the new manifest finds it.
        """
        mine = _local(staging)
        dataset, day = mine.dataset, mine.day
        if not ledger.exists(self.root, dataset):
            self._begin_ledger(dataset)
        with mine.create(MANIFEST_NAME) as file:
            file.write(publication.manifest)
        with day_lock(self.root, dataset, day):
            current = self.read_manifest(dataset, day)
            if generation_of(current) != mine.base:
                raise GenerationChangedError(current)
            begun = self._begin_switch(mine, publication)
            self._write_other_files(mine, publication)
            self._switch_with_quarantine(mine, publication)
            self._finish(begun)
            kept = {publication.quarantine} if publication.quarantine else set()
            if begun.kept_as:
                keep_old_quarantine(self.root, dataset, day, keep=kept, name=begun.kept_as)
            remove_old_quarantine(self.root, dataset, day, keep=kept)
            if publication.drop_replaced:
                removal.drop_earlier(self.root, dataset, day)

    def hold(self, staging: Staging, quarantine: str) -> str:
        """See `contracts.store.Store`."""
        mine = _local(staging)
        dataset, day = mine.dataset, mine.day
        with day_lock(self.root, dataset, day):
            kept = keep_quarantine(mine, quarantine)
            published = self.read_manifest(dataset, day)
            remove_quarantine_of_earlier_holds(kept, self.root, dataset, day, published)
        return str(kept)

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
        folder = self._folder(dataset, day, part)
        with day_lock(self.root, dataset, day):
            published = self.read_manifest(dataset, day)
            if generation_of(published) != entry.generation or not folder.is_dir():
                return False
            self._settle(dataset, day, entry.generation)
            ledger.append(self.root, entry)
            content = tombstone(self.read_tombstone(dataset, day), published)
            removal.write_tombstone(self.root, dataset, day, content)
            self.write_dataset_files(dataset, dataset_files)
            if part == "day":
                removal.remove_day(self.root, dataset, day)
                drop_fingerprint(self.root, dataset, day)
            else:
                removal.remove_quarantine(self.root, dataset, day)
            self._finish(entry)
        return True

    def remove_superseded(self, dataset: str, day: str | None = None) -> None:
        """See `contracts.store.Store`."""
        removal.remove_superseded(self.root, dataset, day)

    def remove_replaced(self, dataset: str, name: str) -> bool:
        """See `contracts.store.Store`."""
        return removal.remove_replaced(self.root, dataset, name)

    def write_dataset_files(self, dataset: str, files: Callable[[], Mapping[str, bytes]]) -> None:
        """See `contracts.store.Store`."""
        scratch = make_folder(self.root, dataset, layout.SUPERSEDED)
        with dataset_files_lock(self.root, dataset):
            for name, content in files().items():
                if self.read_dataset_file(dataset, name) != content:
                    new = scratch / f"{name}.{secrets.token_hex(8)}"
                    replace_file(self.root / dataset / name, new, content)

    # The ledger

    def adopt(self, dataset: str) -> int:
        """See `contracts.store.Store`. Writes nothing for a dataset that has no published day."""
        if ledger.exists(self.root, dataset) or not self.published_days(dataset):
            return 0
        return self._begin_ledger(dataset)

    def record(self, entry: Entry) -> None:
        """See `contracts.store.Store`."""
        if not ledger.exists(self.root, entry.dataset):
            self._begin_ledger(entry.dataset)
        with ledger_lock(self.root, entry.dataset, entry.day):
            ledger.append(self.root, entry)

    def salted(self, text: str) -> str:
        """See `contracts.store.Store`."""
        salt = create_marker(self.root).salt
        return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:32]

    # Upkeep

    def clean_up(self, dataset: str) -> None:
        """See `contracts.store.Store`."""
        clean_up(self.root, dataset)

    def _begin_ledger(self, dataset: str) -> int:
        create_marker(self.root)
        move_out_of_manifests(self.root, dataset, self.published_days)
        return adopt(self.root, dataset, self.published_days(dataset))

    def _settle(self, dataset: str, day: str, generation: str | None) -> None:
        """Add the entry that a killed process could not write after its last step."""
        record = DayRecord.of(self.entries(dataset, day), generation)
        if record.unfinished:
            ledger.append(self.root, record.unfinished.done())

    def _begin_switch(self, staging: LocalStaging, publication: Publication) -> Entry:
        self._settle(staging.dataset, staging.day, staging.base)
        known: dict[str, object] = {
            "event": "publishing",
            "generation": generation_of(publication.manifest),
            "replaces": staging.base,
        }
        if publication.keep_replaced and staging.base:
            known["kept_as"] = staging.attempt
        begun = publication.entry.model_copy(update=known)
        ledger.append(self.root, begun)
        return begun

    def _finish(self, begun: Entry) -> None:
        """Record that a step is completed. The step is visible, so this must not fail the day."""
        with suppress(OSError, OutputUnavailableError):  # `_settle` adds the entry later
            ledger.append(self.root, begun.done())

    def _write_other_files(self, staging: LocalStaging, publication: Publication) -> None:
        """Write the files outside of the day's folder that must exist before the switch."""
        with dataset_files_lock(self.root, staging.dataset):
            for name, content in publication.dataset_files().items():
                # In the staging area first, where `cleanup` removes what a killed process left.
                path, new = self.root / staging.dataset / name, staging.folder / f".{name}"
                if self.read_dataset_file(staging.dataset, name) != content:
                    replace_file(path, new, content)
        if publication.fingerprint:
            new_generation = generation_of(publication.manifest) or ""
            write_fingerprint(
                self.root,
                staging.dataset,
                staging.day,
                staging.base,
                (new_generation, publication.fingerprint),
                staging.folder / ".fingerprint",
            )

    def _switch_with_quarantine(self, staging: LocalStaging, publication: Publication) -> None:
        dataset, day, name = staging.dataset, staging.day, publication.quarantine
        try:
            if name:
                keep_quarantine(staging, name)
            exchange_days(staging, keep_replaced=publication.keep_replaced)
        except BaseException:
            # No manifest names these rejected rows, so they would stay until the day runs again.
            if name and self.read_manifest(dataset, day) != publication.manifest:
                drop_quarantine(self.root, dataset, day, name)
            raise


def _local(staging: Staging) -> LocalStaging:
    if not isinstance(staging, LocalStaging):
        raise TypeError(f"{type(staging).__name__} is not a staging area of a local store")
    return staging
