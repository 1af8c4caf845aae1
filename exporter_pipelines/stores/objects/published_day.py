"""One generation of a published day in a bucket."""

from __future__ import annotations

import io
from typing import BinaryIO, Self

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.structure import Misplaced
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import MAX_SMALL_BYTES, Bucket
from exporter_pipelines.stores.objects.pointers import Pointer, read_pointer
from exporter_pipelines.stores.objects.reading import open_object
from exporter_pipelines.stores.objects.view import View


class ObjectPublishedDay:
    """A `contracts.published_day.PublishedDay`: the files that a pointer named at its opening.

    A replaced generation stays readable for `sweep.GRACE_S`.

    Raises:
        FileNotFoundError: the day is not published.
    """

    is_remote = True

    def __init__(
        self, bucket: Bucket, view: View, dataset: str, day: str, pointer: Pointer
    ) -> None:
        self.location = view.location(dataset, day)
        if pointer.manifest is None:
            raise FileNotFoundError(2, "not published", self.location)
        self._bucket, self._view, self._dataset, self._day = bucket, view, dataset, day
        self._pointer, self._manifest = pointer, pointer.manifest

    def open(self, name: str) -> BinaryIO:
        """See `contracts.published_day.PublishedDay`."""
        if name == MANIFEST_NAME:
            return io.BytesIO(self._manifest)
        return open_object(self._bucket, self._key(name), self._pointer.files[name])

    def size(self, name: str) -> int:
        """See `contracts.published_day.PublishedDay`."""
        return len(self._manifest) if name == MANIFEST_NAME else self._bucket.size(self._key(name))

    def read_small(self, name: str) -> bytes:
        """See `contracts.published_day.PublishedDay`."""
        with self.open(name) as file:
            content = file.read(MAX_SMALL_BYTES + 1)
        return content if len(content) <= MAX_SMALL_BYTES else b""

    def names(self) -> list[str]:
        """See `contracts.published_day.PublishedDay`."""
        return sorted([*self._pointer.files, MANIFEST_NAME])

    def irregular(self, name: str = "") -> Misplaced | None:
        """See `contracts.published_day.PublishedDay`: a view that is not a copy of the day."""
        return None if name else self._view.problem(self._dataset, self._day, self._pointer)

    def is_current(self) -> bool:
        """See `contracts.published_day.PublishedDay`."""
        now = read_pointer(self._bucket, keys.pointer(self._dataset, self._day))
        return (now.attempt, now.manifest) == (self._pointer.attempt, self._manifest)

    def close(self) -> None:
        """See `contracts.published_day.PublishedDay`; nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _key(self, name: str) -> str:
        if name not in self._pointer.files:
            raise FileNotFoundError(2, "no such file", f"{self.location}/{name!r}")
        folder = keys.generation(self._dataset, self._day, str(self._pointer.attempt))
        return f"{folder}/{name}"
