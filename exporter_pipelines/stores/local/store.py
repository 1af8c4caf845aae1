"""Stores exports in a local folder and publishes them atomically; `stores.layout` has the paths.

A day is published by exchanging its folder with the staged one (`renameat2`), so a reader finds
all of the old day or all of the new one.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.ledger import DayRecord, Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.contracts.publication import (
    GenerationChangedError,
    NewTombstone,
    Publication,
    generation_of,
)
from exporter_pipelines.contracts.retention import Part
from exporter_pipelines.contracts.staged_day import Staging
from exporter_pipelines.contracts.structure import Misplaced, Structure
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local import inspection, ledger, removal
from exporter_pipelines.stores.local.adoption import adopt
from exporter_pipelines.stores.local.cleanup import (
    clean_up,
    dataset_files_lock,
    day_lock,
    ledger_lock,
)
from exporter_pipelines.stores.local.files import make_folder, replace_file, translate_os_errors
from exporter_pipelines.stores.local.fingerprints import (
    drop_fingerprint,
    move_out_of_manifests,
    read_fingerprint,
    write_fingerprint,
)
from exporter_pipelines.stores.local.inspection import size_of
from exporter_pipelines.stores.local.marker import create_marker, read_marker
from exporter_pipelines.stores.local.pages import write_page
from exporter_pipelines.stores.local.published_day import LocalPublishedDay, open_file, open_folder
from exporter_pipelines.stores.local.quarantine import (
    drop_quarantine,
    keep_old_quarantine,
    keep_quarantine,
    remove_old_quarantine,
    remove_quarantine_of_earlier_holds,
)
from exporter_pipelines.stores.local.small_files import read_small_file
from exporter_pipelines.stores.local.staging import LocalStaging
from exporter_pipelines.stores.local.structure import (
    datasets_below,
    misplaced_quarantine,
    structure_of,
)
from exporter_pipelines.stores.local.switching import exchange_days
from exporter_pipelines.stores.local.versions import VersionedFolder


class LocalStore:
    """Implements `contracts.store.Store` in a local folder.

    Args:
        root: Absolute path of the output folder; created by the first export.
    """

    is_remote = False
    has_view = True

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def location(self) -> str:
        """See `contracts.store.Store`."""
        return str(self.root)

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

    def replaced_exports(self, dataset: str) -> list[tuple[str, str]]:
        """See `contracts.store.Store`."""
        return removal.replaced_exports(self.root, dataset)

    def replaced_export(self, dataset: str, name: str) -> LocalPublishedDay:
        """See `contracts.store.Store`."""
        return LocalPublishedDay(self.root, self.home(dataset) / layout.REPLACED / name)

    def remove_superseded(self, dataset: str, day: str | None = None) -> None:
        """See `contracts.store.Store`."""
        removal.remove_superseded(self.root, dataset, day)

    def remove_replaced(self, dataset: str, name: str) -> bool:
        """See `contracts.store.Store`."""
        return removal.remove_replaced(self.root, dataset, name)

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

    def entries(self, dataset: str, day: str | None) -> list[Entry]:
        """See `contracts.store.Store`."""
        return ledger.entries(self.root, dataset, day)

    def recorded_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return ledger.days(self.root, dataset)

    def recorded_datasets(self) -> list[str]:
        """See `contracts.store.Store`; also of those whose folder was removed."""
        return ledger.datasets(self.root)

    def has_ledger(self, dataset: str) -> bool:
        """See `contracts.store.Store`."""
        return ledger.exists(self.root, dataset)

    def may_read_ledger(self, dataset: str) -> bool:
        """See `contracts.store.Store`."""
        path = layout.ledger_file(self.root, dataset, None)
        return not path.exists() or os.access(path, os.R_OK)

    def read_ledger(self, dataset: str, day: str | None) -> tuple[list[Entry], int]:
        """See `contracts.store.Store`."""
        return ledger.read(self.root, dataset, day)

    def ledger_path(self, dataset: str, day: str | None) -> str:
        """See `contracts.store.Store`."""
        return str(layout.ledger_file(Path(), dataset, day))

    def salted(self, text: str) -> str:
        """See `contracts.store.Store`."""
        salt = create_marker(self.root).salt
        return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:32]

    # The output as a whole

    def exists(self) -> bool:
        """See `contracts.store.Store`."""
        return self.root.exists()

    def read_marker(self) -> OutputMarker | None:
        """See `contracts.store.Store`."""
        return read_marker(self.root)

    def create_marker(self) -> OutputMarker:
        """See `contracts.store.Store`."""
        return create_marker(self.root)

    def require_writable(self) -> None:
        """See `contracts.store.Store`."""
        inspection.require_writable(self.root)

    def probe(self) -> list[str]:
        """See `contracts.store.Store`: permissions."""
        self.require_writable()
        return [f"{self.root} is writable"]

    def trial(self, rounds: int) -> Iterator[str]:  # noqa: ARG002 - the kernel has locks
        """See `contracts.store.Store`: as `probe`."""
        yield from self.probe()

    def free_bytes(self) -> int:
        """See `contracts.store.Store`: of the disk."""
        return inspection.free_bytes(self.root)

    def structure(self, dataset: str) -> Structure:
        """See `contracts.store.Store`."""
        return structure_of(self.root, dataset)

    def misplaced_quarantine(
        self, dataset: str, day: str, names: Callable[[], re.Pattern[str]]
    ) -> Sequence[Misplaced]:
        """See `contracts.store.Store`."""
        return misplaced_quarantine(self.root, self.quarantine_folder(dataset, day), names)

    # What else is kept with the exports

    def read_report(self, day: str | None) -> bytes | None:
        """See `contracts.store.Store`."""
        page = self._report(day)
        with translate_os_errors(page, "read"):
            return read_small_file(page, self.root)

    def write_report(self, day: str | None, content: bytes) -> str:
        """See `contracts.store.Store`."""
        page = self._report(day)
        write_page(self.root, page, content)
        return str(page)

    def report_location(self, day: str | None) -> str:
        """See `contracts.store.Store`."""
        return str(self._report(day))

    def versions(self, name: str) -> VersionedFolder:
        """See `contracts.store.Store`."""
        return VersionedFolder(self.root, name)

    def training_sets(self) -> list[str]:
        """See `contracts.store.Store`."""
        home = self.root / layout.TRAINING_SETS
        with translate_os_errors(home, "read"):
            names = sorted(os.listdir(home)) if home.is_dir() else []  # noqa: PTH208 - names only
        found = ((name, self.versions(name)) for name in names if re.fullmatch(DATASET_NAME, name))
        return [name for name, each in found if each.stored() or each.unfinished()]

    # Upkeep

    def clean_up(self, dataset: str) -> None:
        """See `contracts.store.Store`."""
        clean_up(self.root, dataset)

    def dead_attempts(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return inspection.dead_attempts(self.root, dataset)

    # Reading

    def datasets(self) -> list[str]:
        """See `contracts.store.Store`: the visible folders."""
        return datasets_below(self.root)

    def published_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`; a symbolic link is not a day."""
        return _days_below(self.root / dataset / layout.DATA)

    def quarantined_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return _days_below(self.root / dataset / layout.QUARANTINE)

    def quarantine_files(self, dataset: str, day: str) -> list[str]:
        """See `contracts.store.Store`."""
        descriptor = open_folder(self.root, self.quarantine_folder(dataset, day))
        try:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 - a descriptor has no path
        finally:
            os.close(descriptor)

    def quarantine_times(self, dataset: str, day: str) -> dict[str, int]:
        """See `contracts.store.Store`."""
        descriptor = open_folder(self.root, self.quarantine_folder(dataset, day))
        try:
            with os.scandir(descriptor) as found:
                return {each.name: each.stat(follow_symlinks=False).st_mtime_ns for each in found}
        finally:
            os.close(descriptor)

    def open_quarantine(self, dataset: str, day: str, name: str) -> BinaryIO:
        """See `contracts.store.Store`."""
        folder = self.quarantine_folder(dataset, day)
        descriptor = open_folder(self.root, folder)
        try:
            return open_file(descriptor, name, folder)
        finally:
            os.close(descriptor)

    def read_manifest(self, dataset: str, day: str) -> bytes | None:
        """See `contracts.store.Store`."""
        path = self.day_folder(dataset, day) / MANIFEST_NAME
        with translate_os_errors(path, "read"):
            return read_small_file(path, self.root)

    def read_manifests(
        self, dataset: str, days: Sequence[str]
    ) -> Iterator[tuple[str, bytes | None]]:
        """See `contracts.store.Store`."""
        return ((day, self.read_manifest(dataset, day)) for day in days)

    def generation(self, dataset: str, day: str) -> str | None:
        """See `contracts.store.Store`."""
        return generation_of(self.read_manifest(dataset, day))

    def read_fingerprint(self, dataset: str, day: str, generation: str | None) -> str | None:
        """See `contracts.store.Store`."""
        return read_fingerprint(self.root, dataset, day, generation)

    def read_dataset_file(self, dataset: str, name: str) -> bytes | None:
        """See `contracts.store.Store`."""
        path = self.home(dataset) / name
        with translate_os_errors(path, "read"):
            return read_small_file(path, self.root)

    def write_dataset_files(self, dataset: str, files: Callable[[], Mapping[str, bytes]]) -> None:
        """See `contracts.store.Store`."""
        scratch = make_folder(self.root, dataset, layout.SUPERSEDED)
        with dataset_files_lock(self.root, dataset):
            for name, content in files().items():
                if self.read_dataset_file(dataset, name) != content:
                    new = scratch / f"{name}.{secrets.token_hex(8)}"
                    replace_file(self.root / dataset / name, new, content)

    def read_tombstone(self, dataset: str, day: str) -> bytes | None:
        """See `contracts.store.Store`."""
        return removal.read_tombstone(self.root, dataset, day)

    def published_day(self, dataset: str, day: str) -> LocalPublishedDay:
        """See `contracts.store.Store`."""
        return LocalPublishedDay(self.root, self.day_folder(dataset, day))

    # Places and sizes

    def home(self, dataset: str) -> Path:
        """The folder of a dataset."""
        return layout.dataset_folder(self.root, dataset)

    def day_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`."""
        return str(self.day_folder(dataset, day))

    def quarantine_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`."""
        return str(self.quarantine_folder(dataset, day))

    def day_folder(self, dataset: str, day: str) -> Path:
        """The folder of a published day."""
        return layout.day_folder(self.root, dataset, day)

    def quarantine_folder(self, dataset: str, day: str) -> Path:
        """The folder with the rejected rows of a day."""
        return layout.quarantine_folder(self.root, dataset, day)

    def size_of(self, dataset: str, day: str, part: Part) -> int:
        """See `contracts.store.Store`; symbolic links are not followed."""
        return size_of(self._folder(dataset, day, part))

    def storage_of(self, dataset: str) -> Mapping[str, int]:
        """See `contracts.store.Store`; symbolic links are not followed."""
        home = self.root / dataset
        sizes = {part: size_of(home / part) for part in (layout.DATA, layout.QUARANTINE)}
        return {**sizes, "other": size_of(home) - sum(sizes.values())}

    def _report(self, day: str | None) -> Path:
        return layout.report_page(self.root, day) if day else layout.report_index(self.root)

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

    def _folder(self, dataset: str, day: str, part: Part) -> Path:
        of = self.day_folder if part == "day" else self.quarantine_folder
        return of(dataset, day)

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


def _days_below(home: Path) -> list[str]:
    if not home.is_dir() or home.is_symlink():
        return []
    days = (
        layout.day_of(entry.name)
        for entry in home.iterdir()
        if entry.is_dir() and not entry.is_symlink()
    )
    return sorted(day for day in days if day)
