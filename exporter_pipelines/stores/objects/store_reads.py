"""Reads an output in a bucket: days, rejected rows, the ledger, reports, and what is misplaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.retention import Part
from exporter_pipelines.contracts.structure import Misplaced, Structure
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys, structure
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.conditions import check_conditions
from exporter_pipelines.stores.objects.dataset_files import DatasetFiles
from exporter_pipelines.stores.objects.ledger import Ledger
from exporter_pipelines.stores.objects.marker import create_marker, read_marker
from exporter_pipelines.stores.objects.pointers import PUBLISHED_BYTES, Pointer, read_pointer
from exporter_pipelines.stores.objects.problems import BucketRefusedError
from exporter_pipelines.stores.objects.published_day import ObjectPublishedDay
from exporter_pipelines.stores.objects.reading import open_object
from exporter_pipelines.stores.objects.reads import AttemptReads
from exporter_pipelines.stores.objects.replaced_export import ObjectReplacedExport
from exporter_pipelines.stores.objects.trial import try_bucket
from exporter_pipelines.stores.objects.versions import ObjectVersions
from exporter_pipelines.stores.objects.view import View

_READERS = 16
"""Requests at a time for the manifests of many days."""


class ObjectStoreReads:
    """The methods of `contracts.store.Store` that change no day.

    Args:
        bucket: Where.
        view: `copy` or `none`, see `view`.
        part_bytes: Size of the parts in which large files are written.
    """

    is_remote = True

    def __init__(self, bucket: Bucket, view: str, part_bytes: int) -> None:
        self.bucket, self._part_bytes = bucket, part_bytes
        self.view = View(bucket, view, part_bytes)
        self._ledger = Ledger(bucket)
        self._files = DatasetFiles(bucket)
        self._reads = AttemptReads(bucket, self._ledger)
        self._begun: set[str] = set()

    @property
    def has_view(self) -> bool:
        """See `contracts.store.Store`."""
        return self.view.is_on

    @property
    def location(self) -> str:
        """See `contracts.store.Store`."""
        return self.bucket.location.uri()

    # Days

    def datasets(self) -> list[str]:
        """See `contracts.store.Store`."""
        names = self.bucket.folders("")
        return [n for n in names if not n.startswith(".") and n not in layout.NOT_DATASETS]

    def published_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`; one listing, since removed days have small pointers."""
        listed = self.bucket.listed(keys.manifests(dataset))
        days = (
            layout.day_of(each.name.removesuffix(".json"))
            for each in listed
            if each.size >= PUBLISHED_BYTES
        )
        return sorted(day for day in days if day)

    def quarantined_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        # By their objects: seaweedfs also lists folders that are empty by now.
        listed = self.bucket.listed(f"{keys.home(dataset)}/{layout.QUARANTINE}")
        names = {each.key.split("/")[-2] for each in listed}
        return sorted(day for day in map(layout.day_of, names) if day)

    def quarantine_files(self, dataset: str, day: str) -> list[str]:
        """See `contracts.store.Store`."""
        return [each.name for each in self.bucket.listed(keys.quarantine(dataset, day))]

    def quarantine_times(self, dataset: str, day: str) -> dict[str, int]:
        """See `contracts.store.Store`."""
        listed = self.bucket.listed(keys.quarantine(dataset, day))
        return {each.name: int(each.modified.timestamp() * 1e9) for each in listed}

    def open_quarantine(self, dataset: str, day: str, name: str) -> BinaryIO:
        """See `contracts.store.Store`."""
        if "/" in name:
            raise OSError(22, "not the name of a file", repr(name))
        return open_object(self.bucket, f"{keys.quarantine(dataset, day)}/{name}")

    def read_manifest(self, dataset: str, day: str) -> bytes | None:
        """See `contracts.store.Store`."""
        return self._reads.pointer(dataset, day).manifest

    def read_manifests(
        self, dataset: str, days: Sequence[str]
    ) -> Iterator[tuple[str, bytes | None]]:
        """See `contracts.store.Store`: many requests at a time, in order."""

        def read(day: str) -> Pointer:
            return read_pointer(self.bucket, keys.pointer(dataset, day))

        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(days), 4 * _READERS):  # so few manifests are in memory
                some = days[start : start + 4 * _READERS]
                known = {day: self._reads.known(dataset, day) for day in some}
                new = [day for day in some if known[day] is None]
                for day, pointer in zip(new, pool.map(read, new), strict=True):
                    self._reads.remember(dataset, day, pointer)
                    known[day] = pointer
                for day, found in known.items():
                    yield day, found.manifest if found else None

    def generation(self, dataset: str, day: str) -> str | None:
        """See `contracts.store.Store`."""
        return generation_of(self.read_manifest(dataset, day))

    def read_fingerprint(self, dataset: str, day: str, generation: str | None) -> str | None:
        """See `contracts.store.Store`."""
        if not generation:
            return None
        found = self.bucket.read(keys.fingerprint(dataset, day, generation))
        words = found.content.decode(errors="replace").split() if found else []
        return words[1] if len(words) == 2 and words[0] == generation else None

    def read_dataset_file(self, dataset: str, name: str) -> bytes | None:
        """See `contracts.store.Store`."""
        return self._files.read(dataset, name)

    def read_tombstone(self, dataset: str, day: str) -> bytes | None:
        """See `contracts.store.Store`."""
        found = self.bucket.read(keys.tombstone(dataset, day))
        return found.content if found else None

    def published_day(self, dataset: str, day: str) -> ObjectPublishedDay:
        """See `contracts.store.Store`."""
        pointer = self._reads.pointer(dataset, day)
        return ObjectPublishedDay(self.bucket, self.view, dataset, day, pointer)

    def replaced_export(self, dataset: str, name: str) -> ObjectReplacedExport:
        """See `contracts.store.Store`."""
        return ObjectReplacedExport(self.bucket, self.view, dataset, name)

    def training_sets(self) -> list[str]:
        """See `contracts.store.Store`."""
        names = self.bucket.folders(layout.TRAINING_SETS)
        return sorted(name for name in names if re.fullmatch(DATASET_NAME, name))

    # Places and sizes

    def day_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`; without the view, the pointer."""
        return self.view.location(dataset, day)

    def quarantine_location(self, dataset: str, day: str) -> str:
        """See `contracts.store.Store`."""
        return self.bucket.location.uri(keys.quarantine(dataset, day))

    def size_of(self, dataset: str, day: str, part: Part) -> int:
        """See `contracts.store.Store`; without the view, which is a copy."""
        if part == "quarantine":
            return sum(each.size for each in self.bucket.listed(keys.quarantine(dataset, day)))
        pointer = read_pointer(self.bucket, keys.pointer(dataset, day))
        return sum(pointer.files.values()) + len(pointer.manifest or b"")

    def storage_of(self, dataset: str) -> Mapping[str, int]:
        """See `contracts.store.Store`; `data` has the view and replaced exports as well."""
        sizes = {layout.DATA: 0, layout.QUARANTINE: 0, "other": 0}
        kinds = {keys.GENERATIONS: layout.DATA, layout.DATA: layout.DATA}
        kinds |= {keys.MANIFESTS: layout.DATA, layout.QUARANTINE: layout.QUARANTINE}
        for each in self.bucket.listed(keys.home(dataset)):
            folder = each.key.removeprefix(f"{dataset}/").partition("/")[0]
            sizes[kinds.get(folder, "other")] += each.size
        return sizes

    # The ledger

    def entries(self, dataset: str, day: str | None) -> list[Entry]:
        """See `contracts.store.Store`."""
        return self._reads.entries(dataset, day)

    def read_ledger(self, dataset: str, day: str | None) -> tuple[Sequence[Entry], int]:
        """See `contracts.store.Store`."""
        return self._ledger.read(dataset, day)

    def recorded_days(self, dataset: str) -> list[str]:
        """See `contracts.store.Store`."""
        return self._ledger.days(dataset)

    def recorded_datasets(self) -> list[str]:
        """See `contracts.store.Store`."""
        return self._reads.datasets()

    def has_ledger(self, dataset: str) -> bool:
        """See `contracts.store.Store`; a ledger never ends, so the answer `True` is kept."""
        if dataset not in self._begun and self._ledger.is_begun(dataset):
            self._begun.add(dataset)
        return dataset in self._begun

    def may_read_ledger(self, dataset: str) -> bool:
        """See `contracts.store.Store`."""
        try:
            self._ledger.is_begun(dataset)
        except BucketRefusedError:
            return False
        return True

    def ledger_path(self, dataset: str, day: str | None) -> str:
        """See `contracts.store.Store`."""
        return keys.ledger(dataset, day)

    # The output as a whole

    def exists(self) -> bool:
        """See `contracts.store.Store`."""
        return bool(self.bucket.folders("") or self.bucket.listed("", recursive=False))

    def read_marker(self) -> OutputMarker | None:
        """See `contracts.store.Store`."""
        return read_marker(self.bucket)

    def create_marker(self) -> OutputMarker:
        """See `contracts.store.Store`. A new one is created only if the bucket keeps conditions."""
        return create_marker(self.bucket)

    def require_writable(self) -> None:
        """See `contracts.store.Store`: one read, since only a write shows more; see `probe`."""
        self.read_marker()

    def probe(self) -> list[str]:
        """See `contracts.store.Store`: writes and removes a small object."""
        check_conditions(self.bucket)
        return [
            f"{self.location} is readable and writable, and keeps the conditions of writes",
            "Parts of interrupted uploads are removed only by a lifecycle rule of the bucket "
            "(AbortIncompleteMultipartUpload, 2 days), which is not tested here",
        ]

    def trial(self, rounds: int) -> Iterator[str]:
        """See `contracts.store.Store`."""
        yield from try_bucket(self.bucket, self._part_bytes, rounds)

    def free_bytes(self) -> None:
        """See `contracts.store.Store`: no limit is known."""
        return

    def structure(self, dataset: str) -> Structure:
        """See `contracts.store.Store`."""
        days = self.published_days(dataset)
        quarantined = self.quarantined_days(dataset)
        found = structure.misplaced(self.bucket, dataset, days)
        return Structure(found, days, quarantined)

    def misplaced_quarantine(
        self, dataset: str, day: str, names: Callable[[], re.Pattern[str]]
    ) -> Sequence[Misplaced]:
        """See `contracts.store.Store`."""
        listed = self.bucket.listed(keys.quarantine(dataset, day))
        return structure.misplaced_quarantine(listed, names()) if listed else []

    # What else is kept with the exports

    def versions(self, name: str) -> ObjectVersions:
        """See `contracts.store.Store`."""
        return ObjectVersions(self.bucket, name, self._part_bytes)

    def read_report(self, day: str | None) -> bytes | None:
        """See `contracts.store.Store`."""
        found = self.bucket.read(keys.report(day))
        return found.content if found else None

    def write_report(self, day: str | None, content: bytes) -> str:
        """See `contracts.store.Store`."""
        self.bucket.write(keys.report(day), content, content_type="text/html; charset=utf-8")
        return self.report_location(day)

    def report_location(self, day: str | None) -> str:
        """See `contracts.store.Store`."""
        return self.bucket.location.uri(keys.report(day))
