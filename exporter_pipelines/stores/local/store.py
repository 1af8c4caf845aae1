"""Exports on a local disk, published in one step.

    <root>/<dataset>/data/date=<day>/        what readers see
    <root>/<dataset>/quarantine/date=<day>/  rejected rows
    <root>/<dataset>/.staging/<attempt>/     being written; its lock tells whether its writer lives
    <root>/<dataset>/.superseded/<attempt>/  replaced days, for readers that still list them
    <root>/<dataset>/.locks/<day>            serialises the switch of one day
    <root>/<dataset>/removed/<day>.json      what was taken away, see `removal`

A day becomes visible by exchanging its folder with the staged one (`renameat2`), so a reader
finds the old day or the new one, whole. Hidden names lie outside `data/`, which tools scan.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter_pipelines.contracts.dataset import DATASET_NAME
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.errors import ConfigurationError, OutputUnavailableError
from exporter_pipelines.stores.local.files import (
    NewFile,
    exchange,
    explained,
    make_folder,
    replace_file,
    sync_folder,
)
from exporter_pipelines.stores.local.leftovers import clear_attempt, day_lock, reap
from exporter_pipelines.stores.local.locks import FileLock
from exporter_pipelines.stores.local.published_day import PublishedDay

_DAY_NAME = re.compile(r"date=(\d{4}-\d{2}-\d{2})")


class LocalStaging:
    """A `contracts.staged_day.Staging` on disk, owned by this process until `discard()`."""

    def __init__(self, store: LocalStore, dataset: str, day: str) -> None:
        self.store, self.dataset, self.day = store, dataset, day
        self.attempt = f"date={day}.{secrets.token_hex(8)}"
        home = make_folder(store.root, dataset, ".staging")
        self.folder = home / self.attempt
        self._files: list[NewFile] = []
        # The lock comes first: a folder without one would never be reaped.
        self._lock = FileLock(home / f"{self.attempt}.lock")
        self._lock.acquire()
        try:
            make_folder(store.root, dataset, ".staging", self.attempt)
            self.base = generation_of(store.read_manifest(dataset, day))
        except BaseException:  # raised again; nobody else could give the lock back
            self.discard()
            raise

    @property
    def generation(self) -> str:
        """See `contracts.staged_day.Staging.generation`."""
        return self.attempt.rpartition(".")[2]

    def create(self, name: str, *, private: bool = False) -> NewFile:
        """See `contracts.staged_day.Staging.create`."""
        file = NewFile(self.folder / name, private=private)
        self._files.append(file)
        return file

    def open(self, name: str) -> int:
        """A descriptor to read a staged file back; the caller closes it."""
        path = self.folder / name
        with explained(path, "read"):
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def discard(self) -> None:
        """See `contracts.staged_day.Staging.discard`. Raises nothing.

        It often runs because of an error, which must not be hidden by one of cleaning up. What
        cannot be removed keeps its lock file, by which a later run finds it.
        """
        for file in self._files:
            file.abandon()
        clean = False
        with suppress(OSError, OutputUnavailableError):
            clean = clear_attempt(self.store.root, self.dataset, self.attempt)
        self._lock.release(remove=clean)


class LocalStore:
    """All exports below one folder.

    Args:
        root: Absolute; created when first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, dataset: str, day: str) -> LocalStaging:
        """Begin an attempt at a day, after removing what dead attempts left behind.

        Raises:
            OutputUnavailableError: the folder cannot be written.
        """
        self.day_folder(dataset, day)  # refuses names that are none
        self.reap(dataset)
        return LocalStaging(self, dataset, day)

    def reap(self, dataset: str) -> None:
        """Remove what dead attempts left behind, and replaced days that are past their grace.

        Raises:
            OutputUnavailableError: the folder cannot be written.
        """
        reap(self.root, dataset)

    def home(self, dataset: str) -> Path:
        """The folder of a dataset.

        Raises:
            ConfigurationError: the name could lead out of the root.
        """
        if not re.fullmatch(DATASET_NAME, dataset):
            raise ConfigurationError(
                f"{dataset!r} cannot be the name of a dataset.",
                "Names are small letters, digits and underscores.",
            )
        return self.root / dataset

    def day_folder(self, dataset: str, day: str) -> Path:
        """Where a published day lies."""
        return self.home(dataset) / "data" / _day_name(day)

    def quarantine_folder(self, dataset: str, day: str) -> Path:
        """Where the rejected rows of a day lie."""
        return self.home(dataset) / "quarantine" / _day_name(day)

    def published_days(self, dataset: str) -> list[str]:
        """Days that have a folder in `data/`, oldest first; a symbolic link is none."""
        return _days_below(self.root / dataset / "data")

    def quarantined_days(self, dataset: str) -> list[str]:
        """Days that have a folder of rejected rows, oldest first."""
        return _days_below(self.root / dataset / "quarantine")

    def read_manifest(self, dataset: str, day: str) -> bytes | None:
        """The manifest's bytes, or None when the day is not published.

        Raises:
            OutputUnavailableError: it may not be read.
        """
        path = self.day_folder(dataset, day) / MANIFEST_NAME
        with explained(path, "read"):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
            except IsADirectoryError:
                return b""  # as damaged as an empty one, and replaced like it

    def published_day(self, dataset: str, day: str) -> PublishedDay:
        """The folder of a day as it is now; the caller closes it.

        Raises:
            FileNotFoundError: the day is not published.
            OSError: the folder may not be read, or lies behind a symbolic link.
        """
        return PublishedDay(self.root, self.day_folder(dataset, day))

    @contextmanager
    def exclusive(self, dataset: str, day: str) -> Iterator[None]:
        """Hold the lock of a day, in which its generation can be compared and switched."""
        with day_lock(self.root, dataset, day):
            yield

    def switch(self, staging: LocalStaging) -> None:
        """Make the staged folder the published day. Call it inside `exclusive`.

        An error after the exchange (a failed sync of the parent folder) leaves the new day
        visible and whole, but perhaps not yet durable.
        """
        target = self.day_folder(staging.dataset, staging.day)
        data = make_folder(self.root, staging.dataset, "data")
        superseded = make_folder(self.root, staging.dataset, ".superseded")
        with explained(target):
            sync_folder(staging.folder)
            if target.is_symlink() or not target.exists():
                target.unlink(missing_ok=True)
                os.rename(staging.folder, target)
            else:
                exchange(staging.folder, target)
                # The day is published, and no run may fail now because the old one could not be
                # kept for readers; it goes with the staging area then.
                with suppress(OSError):
                    # Its grace begins now; under its old time another run would reap it at once.
                    os.utime(staging.folder)
                    os.rename(staging.folder, superseded / staging.attempt)
            sync_folder(data)

    def write_beside(self, staging: LocalStaging, name: str, content: bytes) -> None:
        """Replace a file in the dataset's folder, beside `data/`, unless it is as it should be."""
        # Written in the staging area, where what a killed process left is found and removed.
        path, new = self.root / staging.dataset / name, staging.folder / f".{name}"
        with explained(path):
            if not path.is_symlink() and path.exists() and path.read_bytes() == content:
                return
        replace_file(path, new, content)

    def keep_quarantine(self, staging: LocalStaging, name: str) -> Path:
        """Move a staged quarantine file to its place. Call it inside `exclusive`."""
        folder = make_folder(self.root, staging.dataset, "quarantine", f"date={staging.day}")
        with explained(folder):
            os.rename(staging.folder / name, folder / name)
            sync_folder(folder)
        return folder / name

    def drop_quarantine(self, dataset: str, day: str, name: str) -> None:
        """Remove a quarantine file that was kept for nothing; raises nothing."""
        with suppress(OSError):
            (self.quarantine_folder(dataset, day) / name).unlink()

    def reap_quarantine(self, dataset: str, day: str, *, keep: set[str]) -> None:
        """Remove quarantine files of earlier attempts. Call it inside `exclusive`.

        Nothing is removed through a symbolic link. What cannot be removed is left to the next run:
        the day is published or held by now, and its run must not fail any more.
        """
        folder = self.quarantine_folder(dataset, day)
        if folder.resolve() != LocalStore(self.root.resolve()).quarantine_folder(dataset, day):
            return
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name not in keep and not file.is_dir():
                with suppress(OSError):
                    file.unlink()


def _days_below(home: Path) -> list[str]:
    if not home.is_dir() or home.is_symlink():
        return []
    found = (
        _DAY_NAME.fullmatch(entry.name)
        for entry in home.iterdir()
        if entry.is_dir() and not entry.is_symlink()
    )
    return sorted(match[1] for match in found if match)


def _day_name(day: str) -> str:
    try:
        return f"date={dt.date.fromisoformat(day).isoformat()}"
    except ValueError:
        raise ConfigurationError(f"{day!r} is not a day.", "Write it as YYYY-MM-DD.") from None


def generation_of(manifest: bytes | None) -> str | None:
    """Names what is published: a hash of the manifest, which no two runs share."""
    return None if manifest is None else hashlib.sha256(manifest).hexdigest()
