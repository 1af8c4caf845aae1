"""The body of a response as a file object, which pandas, gzip and tarfile read."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx

from exporter_pipelines.client.errors import ServiceUnreachableError
from exporter_pipelines.contracts.left_out_days import read_headers

_BUFFER_BYTES = 1 << 20


class RowStream(io.BufferedReader):
    """The bytes of the body as the service sent them.

    Attributes:
        missing_days: With `missing="skip"`, the days that were left out; of more than 100 spans of
            days the first ones.
        missing_count: How many were left out; None if the service does not say so.
    """

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_Body(response.iter_raw()), _BUFFER_BYTES)
        self.missing_days, self.missing_count = read_headers(response.headers)


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
