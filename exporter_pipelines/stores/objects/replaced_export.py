"""A replaced export that a bucket keeps for its rows, with its rejected rows beside it."""

from __future__ import annotations

from typing import BinaryIO

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.pointers import Pointer
from exporter_pipelines.stores.objects.published_day import ObjectPublishedDay
from exporter_pipelines.stores.objects.reading import open_object
from exporter_pipelines.stores.objects.view import View


class ObjectReplacedExport(ObjectPublishedDay):
    """A `contracts.published_day.PublishedDay` that is not published any more.

    Raises:
        FileNotFoundError: it is gone.
    """

    def __init__(self, bucket: Bucket, view: View, dataset: str, name: str) -> None:
        self._folder = keys.replaced(dataset, name)
        copy = Pointer.of(bucket.read(f"{self._folder}/{keys.POINTER_COPY}"))
        super().__init__(bucket, view, dataset, layout.day_of_attempt(name), copy)
        self.location = bucket.location.uri(self._folder)
        listed = {each.name for each in bucket.listed(self._folder)}
        self._beside = listed - {keys.POINTER_COPY}

    def open(self, name: str) -> BinaryIO:
        """See `contracts.published_day.PublishedDay`."""
        if name in self._beside:
            return open_object(self._bucket, f"{self._folder}/{name}")
        return super().open(name)

    def names(self) -> list[str]:
        """See `contracts.published_day.PublishedDay`."""
        return sorted([*super().names(), *self._beside])
