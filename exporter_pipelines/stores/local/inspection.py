"""Read-only questions about an output folder."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import translate_os_errors
from exporter_pipelines.stores.local.locks import is_free


def require_writable(root: Path) -> None:
    """Check that exports can be written below `root`, which need not exist yet.

    Raises:
        OutputUnavailableError: they cannot.
    """
    folder = _nearest_existing(root)
    if not folder.is_dir():
        raise OutputUnavailableError(
            f"{folder} is not a folder.", "Set EXPORTER_OUTPUT_URL to a folder."
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise OutputUnavailableError(
            f"{folder} cannot be written by this user.",
            "Give it permission (and mount it writable), or set EXPORTER_OUTPUT_URL.",
        )


def free_bytes(root: Path) -> int:
    """Free space on the disk of `root`, which need not exist yet."""
    return shutil.disk_usage(_nearest_existing(root)).free


def size_of(folder: Path) -> int:
    """Size of all files below a folder; 0 when it does not exist or is a symbolic link."""
    if folder.is_symlink():
        return 0
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a running export moved it
                total += os.lstat(os.path.join(base, name)).st_size
    return total


def dead_attempts(root: Path, dataset: str) -> list[str]:
    """Attempts in the staging area whose process has ended: their locks are free.

    Raises:
        OutputUnavailableError: this user may not read the staging area.
    """
    folder = root / dataset / layout.STAGING
    with translate_os_errors(folder, "read"):
        try:
            names = os.listdir(folder)  # noqa: PTH208 - pathlib leaves errors out, or not, by version
        except (FileNotFoundError, NotADirectoryError):
            return []
    locks = sorted(folder / name for name in names if name.endswith(".lock"))
    return [lock.stem for lock in locks if is_free(lock)]


def _nearest_existing(path: Path) -> Path:
    """The path itself, or the innermost of its parents that exists."""
    return next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
