"""The dataset card and the schemas in a bucket, which describe all days of a dataset together.

There is no lock. Each file is written on condition that it is still the one from which the new
content was made; otherwise all contents are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Object

_TRIES = 8


class DatasetFiles:
    """Reads and replaces these files; unchanged ones are kept in memory."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[str, Object] = {}
        self._listed: dict[str, str | None] | None = None

    def read(self, dataset: str, name: str) -> bytes | None:
        """The content of a file; None when there is none."""
        found = self._object(f"{keys.home(dataset)}/{name}")
        return found.content if found else None

    def replace(self, dataset: str, make: Callable[[], Mapping[str, bytes]]) -> None:
        """Write the files whose content has changed.

        Args:
            dataset: Whose files.
            make: Makes name -> content; it may call `read`.
        """
        for _ in range(_TRIES):
            listed = self._bucket.listed(keys.home(dataset), recursive=False)
            self._listed = {each.key: each.e_tag for each in listed}
            try:
                if self._replace(dataset, make()):
                    return
            finally:
                self._listed = None
        raise DayUnavailableError(
            f"{self._bucket.location.uri(keys.home(dataset))}: other runs replace the dataset card "
            "and the schemas again and again.",
            "Run the day again.",
        )

    def _replace(self, dataset: str, files: Mapping[str, bytes]) -> bool:
        """Whether all files are written; otherwise another process was faster."""
        for name, content in files.items():
            key = f"{keys.home(dataset)}/{name}"
            found = self._object(key)
            if found and found.content == content:
                continue
            self._known.pop(key, None)
            try:
                self._bucket.write_if(key, content, found.tag if found else None)
            except ConditionFailedError:
                # Or the answer to our own write was lost.
                now = self._bucket.read(key)
                if now is None or now.content != content:
                    return False
        return True

    def _object(self, key: str) -> Object | None:
        """An object; while `replace` runs, as it was when it listed all of them."""
        if self._listed is None:
            return self._bucket.read(key)
        if key not in self._listed:
            return None
        known = self._known.get(key)
        if known is None or known.tag.e_tag != self._listed[key]:
            known = self._bucket.read(key)
            if known:
                self._known[key] = known
        return known
