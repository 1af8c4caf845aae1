"""Downloads one file with HTTP ranges, and writes small ones.

A file grows in a hidden part file, which is renamed when its size and SHA-256 are right.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.errors import (
    DownloadError,
    ServiceUnreachableError,
    UnknownResourceError,
)

_FRUITLESS = 3
"""Attempts in a row that bring no byte, each of which repeats its request for some seconds."""


class BeginAgainError(Exception):
    """Begin again: the file was replaced meanwhile, or the part of it is damaged."""


@contextmanager
def writing_below(folder: Path) -> Iterator[None]:
    """Raise a `DownloadError` if a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{error.filename or folder} cannot be written: "
            f"{(error.strerror or type(error).__name__).lower()}.",
            "Name another folder, or make room, and start the download again: it is resumed.",
        ) from None


def replace_small_file(path: Path, content: bytes) -> None:
    """Write a whole file, or leave the one that is there."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_bytes(content)
    new.replace(path)


class Entry(Protocol):
    """What a manifest says about a file."""

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file, hexadecimal."""
        ...


class FileDownload:
    """One file of a published day or of a training set.

    Args:
        connection: To the service.
        path: Of the file, below `/api/v1`.
        target: Where it goes.
        file: Its entry in the manifest.
    """

    def __init__(self, connection: Connection, path: str, target: Path, file: Entry) -> None:
        self._connection, self._path, self._target, self._file = connection, path, target, file
        # With the checksum in its name, a part is never continued with another file.
        self._part = target.with_name(f".{target.name}.{file.sha256[:16]}.part")

    def run(self, arrived: Callable[[int], None] | None) -> bool:
        """Download the file, unless it is there; whether it was downloaded.

        Raises:
            BeginAgainError: the file was replaced meanwhile, or an earlier part is damaged.
            DownloadError: the file is not complete or not as published.
        """
        if self._is_right(self._target):
            if arrived:
                arrived(self._file.size_bytes)
            return False
        for old in self._target.parent.glob(f".{self._target.name}.*.part"):
            if old != self._part:
                old.unlink(missing_ok=True)
        with self._part.open("ab") as part:
            self._lock(part)
            resumed = part.tell()
            if arrived and resumed:
                arrived(resumed)
            try:
                self._fill(part, arrived)
            except BeginAgainError:
                self._part.unlink(missing_ok=True)  # nobody publishes this file any more
                raise
            os.fsync(part.fileno())
            if not self._is_right(self._part):
                self._part.unlink(missing_ok=True)
                if resumed:
                    raise BeginAgainError
                raise DownloadError(
                    f"{self._target} was downloaded, but is not the published file: its size or "
                    "SHA-256 is not that of the manifest.",
                    "Verify the day on the server: `exporter verify`. Then download it again.",
                )
            self._part.replace(self._target)
        return True

    def _lock(self, part: BinaryIO) -> None:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(
                f"Another process is downloading {self._target}.", "Wait until it has ended."
            ) from None

    def _fill(self, part: BinaryIO, arrived: Callable[[int], None] | None) -> None:
        """Append what is missing, over as many connections as it takes."""
        fruitless = 0
        while part.tell() < self._file.size_bytes:
            before = part.tell()
            try:
                self._append(part, arrived)
            except ServiceUnreachableError:
                fruitless = 0 if part.tell() > before else fruitless + 1
                if fruitless >= _FRUITLESS:
                    raise
            except UnknownResourceError:
                raise BeginAgainError from None  # there are files of other names now
            else:
                if part.tell() == before:
                    raise DownloadError(f"The service sends no content for {self._target.name}.")
            part.flush()

    def _append(self, part: BinaryIO, arrived: Callable[[int], None] | None) -> None:
        etag, have = f'"{self._file.sha256}"', part.tell()
        headers = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
        with self._connection.stream(self._path, headers=headers) as response:
            if response.headers.get("etag") != etag:
                raise BeginAgainError
            if have and not self._continues(response, have):
                part.seek(0)
                part.truncate()
            for chunk in response.iter_raw():
                part.write(chunk)
                if arrived:
                    arrived(len(chunk))
                if part.tell() > self._file.size_bytes:
                    return  # too long: the check after it says so

    @staticmethod
    def _continues(response: httpx.Response, have: int) -> bool:
        starts_there = response.headers.get("content-range", "").startswith(f"bytes {have}-")
        return response.status_code == 206 and starts_there

    def _is_right(self, path: Path) -> bool:
        if not path.is_file() or path.stat().st_size != self._file.size_bytes:
            return False
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == self._file.sha256
