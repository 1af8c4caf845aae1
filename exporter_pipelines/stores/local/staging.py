"""The private folder in which one attempt writes a day."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.cleanup import remove_attempt
from exporter_pipelines.stores.local.files import (
    FOLDER_MODE,
    NewFile,
    make_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.locks import FileLock
from exporter_pipelines.stores.local.published_day import open_file, open_folder


class LocalStaging:
    """A `contracts.staged_day.Staging` on disk, owned by this process until `discard()`.

    Attributes:
        dataset, day: What is staged.
        attempt: Name of the folder. A day that it replaces is kept under the same name.
        folder: Where files are created.
        base: `generation_of` the day that was published when the attempt began.
    """

    def __init__(self, root: Path, dataset: str, day: str) -> None:
        self.root, self.dataset, self.day = root, dataset, day
        self.attempt = layout.attempt_name(day, secrets.token_hex(8))
        self.base: str | None = None
        home = make_folder(root, dataset, layout.STAGING)
        self.folder = home / self.attempt
        self._files: list[NewFile] = []
        # The lock comes first: `cleanup` would never remove a folder without one.
        self._lock = FileLock(home / f"{self.attempt}.lock")
        self._lock.acquire()
        try:
            # Its name is not synced: the folder is worth nothing before the switch, which syncs
            # it. That is one of the eight times that a day waits for the disk.
            with translate_os_errors(self.folder):
                self.folder.mkdir(mode=FOLDER_MODE)
                self.folder.chmod(FOLDER_MODE)  # independent of the umask
        except BaseException:  # raised again; no one else can release the lock
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

    def open(self, name: str) -> BinaryIO:
        """See `contracts.staged_day.Staging.open`."""
        with translate_os_errors(self.folder / name, "read"):
            folder = open_folder(self.root, self.folder)
            try:
                return open_file(folder, name, self.folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """See `contracts.staged_day.Staging.discard`. Raises nothing.

        It often runs because of an error, which an error in here must not hide. If files cannot
        be removed, their lock file stays as well, and a later run finds and removes them.
        """
        for file in self._files:
            file.abandon()
        clean = False
        with suppress(OSError, OutputUnavailableError):
            clean = remove_attempt(self.root, self.dataset, self.attempt)
        self._lock.release(remove=clean)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        self.discard()
