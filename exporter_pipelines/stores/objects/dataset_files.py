"""The dataset card and the schemas in a bucket, which describe all days of a dataset together.

There is no lock. Each file is written on condition that it is still the one from which the new
content was made; otherwise all contents are made again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket, ConditionFailedError, Tag

_TRIES = 8

_FRESH_S = 30.0
"""In a range of days, the files are not listed again for each day."""


class DatasetFiles:
    """Reads and replaces these files; unchanged ones are kept in memory."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[str, tuple[bytes, Tag]] = {}
        self._listed: dict[str, tuple[float, dict[str, str | None]]] = {}
        self._replacing = 0  # id of the thread that replaces

    def read(self, dataset: str, name: str) -> bytes | None:
        """The content of a file; None when there is none."""
        key = f"{keys.home(dataset)}/{name}"
        if self._replacing == threading.get_ident():
            known = self._object(dataset, key)
            return known[0] if known else None
        found = self._bucket.read(key)
        return found.content if found else None

    def replace(self, dataset: str, make: Callable[[], Mapping[str, bytes]]) -> None:
        """Write the files whose content has changed.

        Args:
            dataset: Whose files.
            make: Makes name -> content; it may call `read`.
        """
        self._replacing = threading.get_ident()
        try:
            for _ in range(_TRIES):
                self._list(dataset)
                if self._replace(dataset, make()):
                    return
                self._listed.pop(dataset)
        finally:
            self._replacing = 0
        raise DayUnavailableError(
            f"{self._bucket.location.uri(keys.home(dataset))}: other runs replace the dataset card "
            "and the schemas again and again.",
            "Run the day again.",
        )

    def _list(self, dataset: str) -> None:
        listed_at, _ = self._listed.get(dataset, (float("-inf"), {}))
        if time.monotonic() - listed_at > _FRESH_S:
            listed = self._bucket.listed(keys.home(dataset), recursive=False)
            tags = {each.key: each.e_tag for each in listed}
            self._listed[dataset] = (time.monotonic(), tags)

    def _replace(self, dataset: str, files: Mapping[str, bytes]) -> bool:
        """Whether all files are written; otherwise another process was faster."""
        for name, content in files.items():
            key = f"{keys.home(dataset)}/{name}"
            known = self._object(dataset, key)
            if known and known[0] == content:
                continue
            try:
                tag = self._bucket.write_if(key, content, known[1] if known else None)
            except ConditionFailedError:
                # Or the answer to our own write was lost.
                now = self._bucket.read(key)
                if now is None or now.content != content:
                    return False
                tag = now.tag
            self._known[key] = (content, tag)
            self._listed[dataset][1][key] = tag.plain
        return True

    def _object(self, dataset: str, key: str) -> tuple[bytes, Tag] | None:
        """Content and tag of a file, as it was when the files were listed."""
        tags = self._listed[dataset][1]
        if key not in tags:
            return None
        known = self._known.get(key)
        if known is None or known[1].plain != tags[key]:
            found = self._bucket.read(key)
            if found is None:
                return None
            known = self._known[key] = (found.content, found.tag)
            tags[key] = found.tag.plain
        return known
