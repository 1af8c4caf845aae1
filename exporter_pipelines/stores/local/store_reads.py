"""Reads an output in a local folder: days, rejected rows, the ledger, reports, sizes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.contracts.publication import (
    generation_of,
)
from exporter_pipelines.contracts.retention import Part
from exporter_pipelines.contracts.structure import Misplaced, Structure
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local import inspection, ledger, removal
from exporter_pipelines.stores.local.files import translate_os_errors
from exporter_pipelines.stores.local.fingerprints import (
    read_fingerprint,
)
from exporter_pipelines.stores.local.inspection import size_of
from exporter_pipelines.stores.local.marker import create_marker, read_marker
from exporter_pipelines.stores.local.pages import write_page
from exporter_pipelines.stores.local.published_day import LocalPublishedDay, open_file, open_folder
from exporter_pipelines.stores.local.small_files import read_small_file
from exporter_pipelines.stores.local.structure import (
    datasets_below,
    misplaced_quarantine,
    structure_of,
)
from exporter_pipelines.stores.local.versions import VersionedFolder


class LocalStoreReads:
    """The methods of `contracts.store.Store` that change no day.

    Args:
        root: Absolute path of the output folder.
    """

    is_remote = False
    has_view = True

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def location(self) -> str:
        """See `contracts.store.Store`."""
        return str(self.root)

    # Days

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

    def read_tombstone(self, dataset: str, day: str) -> bytes | None:
        """See `contracts.store.Store`."""
        return removal.read_tombstone(self.root, dataset, day)

    def published_day(self, dataset: str, day: str) -> LocalPublishedDay:
        """See `contracts.store.Store`."""
        return LocalPublishedDay(self.root, self.day_folder(dataset, day))

    def replaced_exports(self, dataset: str) -> list[tuple[str, str]]:
        """See `contracts.store.Store`."""
        return removal.replaced_exports(self.root, dataset)

    def replaced_export(self, dataset: str, name: str) -> LocalPublishedDay:
        """See `contracts.store.Store`."""
        return LocalPublishedDay(self.root, self.home(dataset) / layout.REPLACED / name)

    def training_sets(self) -> list[str]:
        """See `contracts.store.Store`."""
        home = self.root / layout.TRAINING_SETS
        with translate_os_errors(home, "read"):
            names = sorted(os.listdir(home)) if home.is_dir() else []  # noqa: PTH208 - names only
        found = ((name, self.versions(name)) for name in names if re.fullmatch(DATASET_NAME, name))
        return [name for name, each in found if each.stored() or each.unfinished()]

    def versions(self, name: str) -> VersionedFolder:
        """See `contracts.store.Store`."""
        return VersionedFolder(self.root, name)

    # Places and sizes

    def home(self, dataset: str) -> Path:
        """The folder of a dataset."""
        return layout.dataset_folder(self.root, dataset)

    def day_folder(self, dataset: str, day: str) -> Path:
        """The folder of a published day."""
        return layout.day_folder(self.root, dataset, day)

    def quarantine_folder(self, dataset: str, day: str) -> Path:
        """The folder with the rejected rows of a day."""
        return layout.quarantine_folder(self.root, dataset, day)

    def day_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`."""
        return str(self.day_folder(dataset, day))

    def quarantine_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`."""
        return str(self.quarantine_folder(dataset, day))

    def size_of(self, dataset: str, day: str, part: Part) -> int:
        """See `contracts.store.Store`; symbolic links are not followed."""
        return size_of(self._folder(dataset, day, part))

    def storage_of(self, dataset: str) -> Mapping[str, int]:
        """See `contracts.store.Store`; symbolic links are not followed."""
        home = self.root / dataset
        sizes = {part: size_of(home / part) for part in (layout.DATA, layout.QUARANTINE)}
        return {**sizes, "other": size_of(home) - sum(sizes.values())}

    def _folder(self, dataset: str, day: str, part: Part) -> Path:
        of = self.day_folder if part == "day" else self.quarantine_folder
        return of(dataset, day)

    # The ledger

    def entries(self, dataset: str, day: str | None) -> list[Entry]:
        """See `contracts.store.Store`."""
        return ledger.entries(self.root, dataset, day)

    def read_ledger(self, dataset: str, day: str | None) -> tuple[list[Entry], int]:
        """See `contracts.store.Store`."""
        return ledger.read(self.root, dataset, day)

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

    def ledger_path(self, dataset: str, day: str | None) -> str:
        """See `contracts.store.Store`."""
        return str(layout.ledger_file(Path(), dataset, day))

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

    def dead_attempts(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return inspection.dead_attempts(self.root, dataset)

    # Reports

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

    def _report(self, day: str | None) -> Path:
        return layout.report_page(self.root, day) if day else layout.report_index(self.root)


def _days_below(home: Path) -> list[str]:
    if home.is_symlink():
        return []
    try:
        found = os.scandir(home)  # it knows what is a folder, without a look at each
    except (FileNotFoundError, NotADirectoryError):  # also removed at this moment
        return []
    with found:
        days = (layout.day_of(each.name) for each in found if each.is_dir(follow_symlinks=False))
        return sorted(day for day in days if day)
