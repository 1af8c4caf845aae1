"""Writes the folder of a dataset as a whole, or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.stores.local.files import exchange


def write_folder(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Create the folder of a dataset. With `force`, replace the files of an existing one.

    Other files of an existing folder stay. Readers see the old folder or the new one.

    Raises:
        ConfigurationError: the folder exists and `force` is not given, or it cannot be written.
    """
    with _errors_of(folder):
        if (folder.exists() or folder.is_symlink()) and not force:
            raise existing(folder)
        # Not below defs/, where Dagster would find it.
        new = folder.parent.parent / f".{folder.name}.{secrets.token_hex(4)}"
        try:
            if folder.exists():
                shutil.copytree(folder, new, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                new.mkdir()
            for name, text in files.items():
                (new / name).write_text(text, encoding="utf-8")
            if folder.exists():
                exchange(new, folder)
            else:
                new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def replace_file(file: Path, text: str) -> None:
    """Replace one file in one step.

    Raises:
        ConfigurationError: it cannot be written.
    """
    with _errors_of(file.parent):
        new = file.parent.parent.parent / f".{file.name}.{secrets.token_hex(4)}"
        try:
            new.write_text(text, encoding="utf-8")
            shutil.copymode(file, new)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)


def existing(folder: Path, now: str = "") -> ConfigurationError:
    """The error for a folder that is there already; `now` says what its dataset is."""
    return ConfigurationError(
        f"The folder {folder} exists{now}. Nothing was written.",
        "Choose another name with --name, or replace its files with --force.",
    )


@contextmanager
def _errors_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(
            f"The folder {folder} cannot be written: {reason}.", "Nothing was changed."
        ) from None
