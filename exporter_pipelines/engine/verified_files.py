"""The data files of one generation of a day, each verified before its first row is decoded.

On a local disk all files are verified first, and then decoded through the same descriptors. A file
of a remote store is copied to a temporary file while it is hashed, and decoded from there, one file
at a time. So the bytes that are decoded are those that were verified.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from exporter_pipelines.contracts.manifest import DataFile, Manifest
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.engine.local_copy import local_copy
from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.stores.local.files import translate_os_errors

_MAX_OPEN_FILES = 64
"""Most files of a day that stay open while it is read; a process may usually open 1,024."""


class VerifiedFiles(Protocol):
    """The files of a day in order; the caller closes it."""

    def __iter__(self) -> Iterator[tuple[DataFile, BinaryIO]]:
        """Each file with its entry; it is closed when the next one is requested."""
        ...

    def close(self) -> None:
        """Close all files and the day."""
        ...


def verified_files(day: PublishedDay, manifest: Manifest) -> VerifiedFiles:
    """The files of a day, which this closes; after an error the caller closes it.

    Raises:
        PublishedDayDamagedError: a file is missing or is not what the manifest says. Of a remote
            day with several files, the others raise it when they are reached.
        OutputUnavailableError: a file may not be read.
    """
    return FetchedFiles(day, manifest) if day.is_remote else OpenFiles(day, manifest)


class FetchedFiles:
    """The files of a remote day: one temporary copy at a time."""

    def __init__(self, day: PublishedDay, manifest: Manifest) -> None:
        self._day, self._entries = day, manifest.files
        self._next = self._fetched(self._entries[0]) if self._entries else None

    def __iter__(self) -> Iterator[tuple[DataFile, BinaryIO]]:
        """See `VerifiedFiles`."""
        for entry in self._entries:
            file, self._next = self._next or self._fetched(entry), None
            with file:
                yield entry, file

    def close(self) -> None:
        """See `VerifiedFiles`."""
        if self._next:
            self._next.close()
        self._day.close()

    def _fetched(self, entry: DataFile) -> BinaryIO:
        with _open(self._day, entry) as file:
            try:
                copy = local_copy(file)
            except FileNotFoundError:  # some stores look for it when it is read
                raise _missing(self._day, entry) from None
        if copy.sha256 != entry.sha256:
            copy.file.close()
            raise _changed(f"{self._day.location}/{entry.path}")
        return copy.file


class OpenFiles:
    """The files of a day on a local disk, each read once and verified.

    The first files stay open, so that a reader that takes hours still has them. A day may have
    more files than a process may open. The others are opened again through the folder, which
    exists for a grace period after the day is replaced; a file that has changed is refused.
    """

    def __init__(self, folder: PublishedDay, manifest: Manifest) -> None:
        self._entries = manifest.files
        self._opened: list[BinaryIO] = []
        self._identities: list[tuple[int, ...]] = []
        self._folder: PublishedDay | None = folder
        try:
            for entry in self._entries:
                file = _open(folder, entry)
                stays_open = len(self._opened) < _MAX_OPEN_FILES
                if stays_open:
                    self._opened.append(file)
                try:
                    _verify(file, entry, folder.location)
                    self._identities.append(_identity(file))
                finally:
                    if not stays_open:
                        file.close()
        except BaseException:
            self._folder = None  # the caller closes it
            self.close()
            raise
        if len(self._opened) == len(self._entries):
            folder.close()
            self._folder = None

    def __iter__(self) -> Iterator[tuple[DataFile, BinaryIO]]:
        """See `VerifiedFiles`."""
        for number, entry in enumerate(self._entries):
            file = self._opened[number] if number < len(self._opened) else self._reopen(number)
            with file:
                yield entry, file

    def close(self) -> None:
        """See `VerifiedFiles`."""
        for file in self._opened:
            file.close()
        if self._folder:
            self._folder.close()

    def _reopen(self, number: int) -> BinaryIO:
        assert self._folder is not None
        entry = self._entries[number]
        file = _open(self._folder, entry)
        if _identity(file) != self._identities[number]:
            file.close()
            raise PublishedDayDamagedError(
                f"{self._folder.location}/{entry.path} was changed while it was read.",
                "Export the day again.",
            )
        return file


def _identity(file: BinaryIO) -> tuple[int, ...]:
    facts = os.fstat(file.fileno())
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _open(folder: PublishedDay, entry: DataFile) -> BinaryIO:
    path = f"{folder.location}/{entry.path}"
    with translate_os_errors(path, "read"):
        try:
            return folder.open(entry.path)
        except FileNotFoundError:
            raise _missing(folder, entry) from None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise PublishedDayDamagedError(
                f"{folder.location}: the manifest names {entry.path!r}, which is not a file in it.",
                "Export the day again.",
            ) from None


def _missing(folder: PublishedDay, entry: DataFile) -> PublishedDayDamagedError:
    replaced = "" if folder.is_current() else " The day was replaced while it was read."
    return PublishedDayDamagedError(
        f"{folder.location}/{entry.path} is missing, but its manifest names it.{replaced}",
        "Read it again." if replaced else "Export the day again.",
    )


def _verify(file: BinaryIO, entry: DataFile, folder: str) -> None:
    path = f"{folder}/{entry.path}"
    with translate_os_errors(path, "read"):
        _, sha256 = size_and_sha256(file)
    if sha256 != entry.sha256:
        raise _changed(path)
    file.seek(0)


def _changed(path: str) -> PublishedDayDamagedError:
    return PublishedDayDamagedError(
        f"{path} does not have the sha256 of its manifest.", "Export the day again."
    )
