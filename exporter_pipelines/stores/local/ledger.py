"""The ledger on disk: one file of JSON lines per day, which is only ever appended to.

Entries of a day are appended while the day's lock is held. A process may die, or the disk fill up,
in the middle of a line: the next writer begins a new line, and readers skip what is not an entry.
Files have mode 0600, because the state of a held day is private (`contracts.ledger`).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.errors import DayUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    PRIVATE_FILE_MODE,
    make_folder,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.small_files import read_small_file


def append(root: Path, entry: Entry, *, durable: bool = True) -> None:
    """Append an entry; it is durable afterwards, unless `durable` is False.

    For an entry of a day, the caller holds the day's lock.

    Raises:
        OutputUnavailableError: it cannot be written. A partial line is removed, or ignored later.
    """
    path = layout.ledger_file(root, entry.dataset, entry.day)
    folder = make_folder(root, layout.LEDGER, entry.dataset)
    with translate_os_errors(path):
        is_new = not path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, PRIVATE_FILE_MODE)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DayUnavailableError(f"{path} is not a file.", "Remove it.")
            if is_new:
                os.fchmod(descriptor, PRIVATE_FILE_MODE)  # independent of the umask
            _append_line(descriptor, entry.to_line())
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if is_new and durable:
        sync_folder(folder)


def _append_line(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    data = memoryview(b"\n" + line if torn else line)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def sync(root: Path, dataset: str) -> None:
    """Make all entries of a dataset durable that were appended with `durable=False`."""
    folder = make_folder(root, layout.LEDGER, dataset)
    with translate_os_errors(folder):
        for path in folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_folder(folder)


def entries(root: Path, dataset: str, day: str | None) -> list[Entry]:
    """The entries of a day, or of a dataset (`day=None`), oldest first."""
    return read(root, dataset, day)[0]


def read(root: Path, dataset: str, day: str | None) -> tuple[list[Entry], int]:
    """The entries of a day or dataset, and the number of lines that are not entries.

    Raises:
        OutputUnavailableError: the file may not be read.
    """
    path = layout.ledger_file(root, dataset, day)
    with translate_os_errors(path, "read"):
        data = read_small_file(path, root)
        if data == b"" and not path.is_file():
            return [], 1  # something else is there
    found, damaged = [], 0
    for line in (data or b"").split(b"\n"):
        try:
            if line:
                found.append(Entry.model_validate_json(line))
        except ValidationError:
            damaged += 1
    return found, damaged


def exists(root: Path, dataset: str) -> bool:
    """Whether the ledger of a dataset was begun, and its published days were adopted."""
    # Asked for each export, so the file is not parsed; `pruned` entries are added every day.
    path = layout.ledger_file(root, dataset, None)
    with translate_os_errors(path, "read"):
        return b'"event":"adopted"' in (read_small_file(path, root) or b"")


def datasets(root: Path) -> list[str]:
    """Names of the datasets with a ledger, sorted."""
    return _names(root / layout.LEDGER, folders=True)


def days(root: Path, dataset: str) -> list[str]:
    """The days with a ledger file, oldest first."""
    folder = layout.ledger_folder(root, dataset)
    found = (layout.day_of_ledger_file(name) for name in _names(folder, folders=False))
    return sorted(day for day in found if day)


def _names(folder: Path, *, folders: bool) -> list[str]:
    with translate_os_errors(folder, "read"):
        if not folder.is_dir() or folder.is_symlink():
            return []
        with os.scandir(folder) as found:
            return sorted(
                entry.name for entry in found if entry.is_dir(follow_symlinks=False) == folders
            )
