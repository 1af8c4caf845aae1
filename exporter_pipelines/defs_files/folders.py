"""Finds the files of definitions below a folder, as Dagster does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

FILE_NAMES = ("defs.yaml", "defs.yml", "component.yaml")


class Found(NamedTuple):
    """A file, or a folder that cannot be looked into.

    Attributes:
        path: Of it.
        problem, hint: Why a folder cannot be looked into, and what to do; empty for a file.
    """

    path: Path
    problem: str = ""
    hint: str = ""


def definition_files(
    folder: Path, goes_on: Callable[[Path], bool], above: frozenset[Path] = frozenset()
) -> Iterator[Found]:
    """The files that Dagster would read; below a folder with one, it looks no further.

    Args:
        folder: Where to look.
        goes_on: Whether there may be more below the folder of a file.
        above: The folders that it is in, without links.
    """
    try:
        real = folder.resolve()
        if real in above:
            yield Found(
                folder, "the link leads to a folder that it is in, without an end.",
                "Remove the link.",
            )  # fmt: skip
            return
        inner = sorted(folder.iterdir()) if is_folder(folder) else []
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        yield Found(
            folder, f"the folder cannot be read: {reason}.", "Give this user permission to read it."
        )
        return
    if file := next((each for name in FILE_NAMES for each in inner if each.name == name), None):
        yield Found(file)
        if not goes_on(file):
            return
    for each in inner:
        if (
            each.name not in ("__pycache__", *FILE_NAMES)
            and each.name[0] != "."
            and is_folder(each)
        ):
            yield from definition_files(each, goes_on, above | {real})


def is_folder(path: Path) -> bool:
    """As `Path.is_dir`; False for what cannot be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False
