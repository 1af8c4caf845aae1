"""Opens files of the output folder for a download: a file, rejected rows, a dataset's files.

The folder of a day is held open while its manifest and its files are opened, so all of them are of
one generation, whatever is published meanwhile. No symbolic link below the output folder is
followed. A name in a request is compared with those that exist, and never becomes part of a path.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, DataFile, Manifest
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.hashing import size_of
from exporter_pipelines.errors import (
    DayNotPublishedError,
    OutputUnavailableError,
    PublishedDayDamagedError,
    UnknownNameError,
)
from exporter_pipelines.service.downloads import Download, Part
from exporter_pipelines.service.problems import Problem

CARD, SCHEMA = "README.md", "schema.json"

_T = TypeVar("_T")


@dataclass(frozen=True)
class OpenDay:
    """A published day, open.

    Attributes:
        folder: Its folder as it was when it was opened.
        manifest: Parsed.
        content: The bytes of the manifest.
    """

    folder: PublishedDay
    manifest: Manifest
    content: bytes

    def open(self, file: DataFile) -> BinaryIO:
        """Open a data file; the caller closes it.

        Raises:
            PublishedDayDamagedError: it is missing, or has another size than the manifest says.
        """
        try:
            opened = self.folder.open(file.path)
        except OSError as error:
            _refuse_if_too_many_are_open(error)
            raise _damaged(self.manifest, f"{file.path} cannot be opened", error) from None
        size = size_of(opened)
        if size != file.size_bytes:
            opened.close()
            raise _damaged(self.manifest, f"{file.path} has {size:,} bytes")
        return opened


def in_one_generation(store: Store, dataset: str, day: str, read: Callable[[OpenDay], _T]) -> _T:
    """Call `read` with a published day; again if the day was replaced before `read` had finished.

    Raises:
        DayNotPublishedError: the day has no export.
        PublishedDayDamagedError: it is not what its manifest says.
        OutputUnavailableError: the output folder cannot be read.
    """
    while True:
        with _published(store, dataset, day) as folder:
            try:
                return read(_opened(folder, dataset, day))
            except PublishedDayDamagedError:
                # A replaced folder is emptied some time later.
                if folder.is_current():
                    raise


def manifest_of(store: Store, dataset: str, day: str) -> Download:
    """The manifest of a published day. Raises as `in_one_generation` does."""
    content = in_one_generation(store, dataset, day, lambda opened: opened.content)
    version = generation_of(content) or ""
    return Download(f"{dataset}-{day}.manifest.json", [Part.of(content)], version, version)


def data_file(store: Store, dataset: str, day: str, name: str) -> Download:
    """A data file of a published day.

    Raises:
        UnknownNameError: the manifest names no such file.
        ExporterError: as `in_one_generation`.
    """

    def opened(day_: OpenDay) -> Download:
        files = {file.path: file for file in day_.manifest.files}
        if name not in files:
            raise UnknownNameError("file", name, files)
        file, stack = files[name], ExitStack()
        part = Part(file.size_bytes, stack.enter_context(day_.open(file)))
        return Download(file.path, [part], file.sha256, file.sha256, stack)

    return in_one_generation(store, dataset, day, opened)


def quarantine_file(store: Store, dataset: str, day: str, name: str = "") -> Download:
    """The rejected rows of a day: of its newest attempt, or the file of a name.

    Raises:
        UnknownNameError: there is no such file; the message lists those of the day.
        OutputUnavailableError: the output folder cannot be read.
    """
    try:
        names = store.quarantine_files(dataset, day)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise _unreadable(f"the rejected rows of {dataset} {day}", error) from None
    if name not in ["", *names] or not names:
        raise UnknownNameError("file with rejected rows", name or f"{dataset} {day}", names)
    with ExitStack() as stack:
        try:
            files = {
                each: stack.enter_context(store.open_quarantine(dataset, day, each))
                for each in ([name] if name else names)
            }
            times = store.quarantine_times(dataset, day)
        except OSError as error:
            raise _unreadable(f"the rejected rows of {dataset} {day}", error) from None
        newest = max(files, key=lambda each: times.get(each, 0))
        part = Part(size_of(files[newest]), files[newest])
        # Such a file is never written again, so that its name identifies its content. It may be
        # a name that no header may have.
        identity = f"{newest}-{times.get(newest, 0)}".encode("utf-8", "surrogateescape")
        version = hashlib.sha256(identity).hexdigest()
        return Download(newest, [part], version, "", stack.pop_all())


def dataset_file(store: Store, dataset: str, name: str) -> Download:
    """The card or the JSON Schema of a dataset.

    Raises:
        DayNotPublishedError: no day of it was published yet.
        OutputUnavailableError: the output folder cannot be read.
    """
    content = store.read_dataset_file(dataset, name)
    if not content:
        raise DayNotPublishedError(
            f"{dataset} has no {name} in {store.location}.", "The first published day writes it."
        )
    return Download.of(name, content)


def _published(store: Store, dataset: str, day: str) -> PublishedDay:
    try:
        return store.published_day(dataset, day)
    except (FileNotFoundError, NotADirectoryError):
        raise DayNotPublishedError(
            f"{dataset} {day} is not published.",
            "It was never exported, or it was held or removed.",
        ) from None
    except OSError as error:
        raise _unreadable(f"{dataset} {day}", error) from None


def _opened(folder: PublishedDay, dataset: str, day: str) -> OpenDay:
    try:
        content = folder.read_small(MANIFEST_NAME)
    except OSError as error:
        _refuse_if_too_many_are_open(error)
        raise PublishedDayDamagedError(
            f"{dataset} {day}: {MANIFEST_NAME} cannot be read: {_reason(error)}.",
            "Export the day again.",
        ) from None
    manifest = Manifest.if_readable(content)
    if manifest is None:
        raise PublishedDayDamagedError(
            f"{dataset} {day}: {MANIFEST_NAME} was changed after it was written.",
            "Export the day again.",
        )
    return OpenDay(folder, manifest, content)


def _damaged(
    manifest: Manifest, what: str, error: OSError | None = None
) -> PublishedDayDamagedError:
    why = f": {_reason(error)}" if error else ", the manifest names another size"
    return PublishedDayDamagedError(
        f"{manifest.dataset} {manifest.partition}: {what}{why}.", "Export the day again."
    )


def _unreadable(what: str, error: OSError) -> OutputUnavailableError:
    _refuse_if_too_many_are_open(error)
    return OutputUnavailableError(
        f"{what} cannot be read: {_reason(error)}.", "Give this user permission to read it."
    )


def _refuse_if_too_many_are_open(error: OSError) -> None:
    """Raise a problem if a file could not be opened since the process has too many open ones."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise Problem(
            503,
            "The service has too many open files. Try again later, or choose fewer days.",
            headers={"Retry-After": "10"},
        ) from None


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
