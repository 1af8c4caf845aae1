"""The view: the data files of the published day, copied to names that do not change.

A glob over `data/` reads it. The copy of one file is one request that replaces it at once, so a
glob finds all of the old day or all of the new one. A day in several files is copied file by file:
there, only readers of the pointer never see a mixture.

The view follows the pointer and never decides anything. After a copy, the pointer is read again: a
late copy of a replaced day is corrected by the run that made it, or else by the sweep.
"""

from __future__ import annotations

import datetime as dt
import time

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.structure import Misplaced
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.pointers import Pointer, read_pointer

_TRIES = 8
_SETTLING_S = (0.0, 0.5, 1.0, 2.0)
_NEW_S = 300.0


class View:
    """Keeps the views of days current.

    Args:
        bucket: Where.
        mode: `copy`, or `none` for no view.
        part_bytes: For copies of very large objects.
    """

    def __init__(self, bucket: Bucket, mode: str, part_bytes: int) -> None:
        self._bucket, self.part_bytes = bucket, part_bytes
        self.is_on = mode == "copy"

    def follow(self, dataset: str, day: str, before: Pointer, published: Pointer) -> None:
        """Copy a day that was just published, and remove the names that only `before` had."""
        if not self.is_on:
            return
        self._copy(dataset, day, published)
        old = [name for name in before.files if name not in published.files]
        self._remove(dataset, day, old)
        self._until_current(dataset, day, published)

    def withdraw(self, dataset: str, day: str, attempt: str, before: Pointer) -> None:
        """Remove the view of a day that was just removed by an attempt."""
        if self.is_on:
            self._remove(dataset, day, [*before.files, MANIFEST_NAME])
            self._until_current(dataset, day, Pointer(attempt=attempt))

    def refresh(self, dataset: str, day: str, pointer: Pointer) -> None:
        """Make the view what the pointer says, whatever is there."""
        if not self.is_on:
            return
        self._make(dataset, day, pointer)
        self._until_current(dataset, day, pointer)

    def location(self, dataset: str, day: str) -> str:
        """Where readers find a day; without the view, its pointer."""
        key = keys.view if self.is_on else keys.pointer
        return self._bucket.location.uri(key(dataset, day))

    def problem(self, dataset: str, day: str, pointer: Pointer) -> Misplaced | None:
        """How the view differs from a published day.

        Only names, sizes and manifest are compared:
        ETags of equal objects differ in Azure, and in S3 when they are encrypted.
        """
        if not self.is_on:
            return None
        # A run copies the day a moment after it was published.
        for wait_s in _SETTLING_S if _is_new(pointer) else (0.0,):
            time.sleep(wait_s)
            if self._is_copy(dataset, day, pointer):
                return None
            if not self._is_published(dataset, day, pointer):
                return None
        return Misplaced(
            "foreign",
            keys.view(dataset, day),
            "is not a copy of the published day; readers of its files may find an older export",
            "Run the day again, or wait for the next clean-up, which copies it.",
        )

    def _is_copy(self, dataset: str, day: str, pointer: Pointer) -> bool:
        prefix = keys.view(dataset, day)
        view = {each.name: each.size for each in self._bucket.listed(prefix)}
        if view.pop(MANIFEST_NAME, None) is None or view != dict(pointer.files):
            return False
        copy = self._bucket.read(f"{prefix}/{MANIFEST_NAME}")
        return copy is not None and copy.content == pointer.manifest

    def _until_current(self, dataset: str, day: str, made: Pointer) -> None:
        """Read the pointer again, and repeat if another run has published in the meantime."""
        for number in range(_TRIES):
            now = read_pointer(self._bucket, keys.pointer(dataset, day))
            if (now.attempt, now.manifest) == (made.attempt, made.manifest):
                return
            time.sleep(0.05 * number)
            self._make(dataset, day, now)
            made = now

    def _make(self, dataset: str, day: str, pointer: Pointer) -> None:
        there = {each.name: each.size for each in self._bucket.listed(keys.view(dataset, day))}
        if pointer.manifest is None:
            self._remove(dataset, day, list(there))
            return
        self._copy(dataset, day, pointer)
        wanted = {*pointer.files, MANIFEST_NAME}
        self._remove(dataset, day, [name for name in there if name not in wanted])

    def _copy(self, dataset: str, day: str, pointer: Pointer) -> None:
        folder = keys.generation(dataset, day, str(pointer.attempt))
        target = keys.view(dataset, day)
        try:
            for name, size in pointer.files.items():
                self._bucket.copy(f"{folder}/{name}", f"{target}/{name}", size, self.part_bytes)
        except FileNotFoundError:
            # Replaced so long ago that it was removed: `_until_current` copies the one that is.
            if self._is_published(dataset, day, pointer):
                raise OutputUnavailableError(
                    f"Data files of {self._bucket.location.uri(target)} are missing.",
                    "Run the day again. `exporter verify` names them.",
                ) from None
            return
        self._bucket.write(f"{target}/{MANIFEST_NAME}", pointer.manifest or b"")

    def _is_published(self, dataset: str, day: str, pointer: Pointer) -> bool:
        now = read_pointer(self._bucket, keys.pointer(dataset, day))
        return now.attempt == pointer.attempt

    def _remove(self, dataset: str, day: str, names: list[str]) -> None:
        if names:
            self._bucket.remove([f"{keys.view(dataset, day)}/{name}" for name in names])


def _is_new(pointer: Pointer) -> bool:
    if pointer.modified is None:
        return True
    return (dt.datetime.now(dt.UTC) - pointer.modified).total_seconds() < _NEW_S
