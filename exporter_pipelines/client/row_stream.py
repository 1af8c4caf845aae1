"""The body of a response as a file object, which pandas, gzip and tarfile read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import httpx

from exporter_pipelines.client.errors import ServiceUnreachableError

_BUFFER_BYTES = 1 << 20


def open_stream(response: httpx.Response) -> BinaryIO:
    """The bytes of the body as the service sent them."""
    return cast(BinaryIO, io.BufferedReader(_Body(response.iter_raw()), _BUFFER_BYTES))


class _Body(io.RawIOBase):
    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._part = parts, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._part:
            try:
                part = next(self._parts, None)
            except httpx.TransportError as error:
                raise ServiceUnreachableError(
                    f"The connection was lost within the rows: {error}.",
                    "Open them again. `download` resumes where it was interrupted.",
                ) from None
            if part is None:
                return 0
            self._part = memoryview(part)
        count = min(len(buffer), len(self._part))
        buffer[:count] = self._part[:count]
        self._part = self._part[count:]
        return count
