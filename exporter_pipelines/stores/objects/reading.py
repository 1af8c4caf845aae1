"""An object as a file that is read from front to back, with seeking where a format needs it."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import BinaryIO, cast

from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores.objects.bucket import Bucket

_TRIES = 4
_WAIT_S = 0.5


def open_object(bucket: Bucket, key: str, size: int | None = None) -> BinaryIO:
    """Open an object that never changes; the caller closes it.

    Args:
        bucket, key: The object.
        size: Its size, if it is known; otherwise it is asked for.

    Raises:
        FileNotFoundError: there is no such object.
    """
    raw = _ObjectReader(bucket, key, bucket.size(key) if size is None else size)
    return cast(BinaryIO, io.BufferedReader(raw, buffer_size=1024 * 1024))


class _ObjectReader(io.RawIOBase):
    """Streams an object; a seek, or a lost connection, begins a new stream at the position."""

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        self._bucket, self._key, self._size = bucket, key, size
        self._position = 0
        self._stream: Iterator[Data] | None = bucket.stream(key)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        position = max(0, start + offset)
        if position != self._position:
            self._position, self._stream, self._rest = position, None, memoryview(b"")
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest and self._position < self._size:
            self._rest = self._next()
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        self._position += taken
        return taken

    def _next(self) -> memoryview:
        """The next bytes; empty at the end."""
        for number in range(_TRIES):
            try:
                if self._stream is None:
                    self._stream = self._bucket.stream(self._key, self._position)
                return memoryview(next(self._stream, b"")).cast("B")
            except OutputUnavailableError:
                self._stream = None
                if number + 1 == _TRIES:
                    raise
                time.sleep(_WAIT_S * 2**number)
        raise AssertionError(self._key)  # the last try returned or raised
