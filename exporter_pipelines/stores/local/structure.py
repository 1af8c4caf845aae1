"""Looks for files, folders, links and modes on disk that no export leaves.

Belongs here: what a local disk adds to the places of exports. Does not belong here: the content of
files (`verification`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from exporter_pipelines.contracts.structure import Kind, Misplaced, Structure
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import FOLDER_MODE, PRIVATE_FILE_MODE
from exporter_pipelines.stores.local.published_day import irregular_mode, is_mode, open_folder


def datasets_below(root: Path) -> list[str]:
    """Names of the visible folders in the output folder."""
    if not root.is_dir():
        return []
    return sorted(
        entry.name
        for entry in root.iterdir()
        if not entry.name.startswith(".")
        and entry.name not in layout.NOT_DATASETS
        and (entry.is_dir() or entry.is_symlink())
    )


def structure_of(root: Path, dataset: str) -> Structure:
    """Check the folders of a dataset, except those of days."""
    look, home = _Look(root), root / dataset
    if not look.is_folder(home):
        return Structure(look.found)
    for entry in look.entries(home):
        look.check_other_entry(entry)
    days = look.days(home / layout.DATA)
    return Structure(look.found, days, look.days(home / layout.QUARANTINE))


def misplaced_quarantine(
    root: Path, folder: Path, names: Callable[[], re.Pattern[str]]
) -> list[Misplaced]:
    """Check names and modes in the quarantine folder of a day."""
    look = _Look(root)
    look.check_quarantine(folder, names)
    return look.found


class _Look:
    """Collects findings about one output folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.found: list[Misplaced] = []

    def check_quarantine(self, folder: Path, make_names: Callable[[], re.Pattern[str]]) -> None:
        try:
            descriptor = open_folder(self._root, folder)
        except FileNotFoundError:
            return
        except OSError as error:
            self._add_error(folder, error)
            return
        try:
            names = make_names()
            self._check_mode(folder, os.fstat(descriptor), FOLDER_MODE)
            for name in sorted(os.listdir(descriptor)):  # noqa: PTH208 - a descriptor has no path
                try:
                    facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # an export has removed it
                if not names.fullmatch(name) or not stat.S_ISREG(facts.st_mode):
                    what = "is not a quarantine file of an export"
                    self._add("foreign", folder / name, what, "Remove it.")
                else:
                    self._check_mode(folder / name, facts, PRIVATE_FILE_MODE)
        finally:
            os.close(descriptor)

    def is_folder(self, path: Path) -> bool:
        """Whether the path is a folder; adds a finding if it is something else."""
        try:
            facts = path.lstat()
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:  # the output folder is a file
            self._add_error(path, error)
            return False
        if stat.S_ISLNK(facts.st_mode):
            self._add("symbolic_link", path, "is a symbolic link", "Remove it.")
            return False
        if not stat.S_ISDIR(facts.st_mode):
            self._add("foreign", path, "is not a folder", "Remove it.")
            return False
        self._check_mode(path, facts, FOLDER_MODE)
        return True

    def entries(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except OSError as error:
            self._add_error(folder, error)
            return []

    def check_other_entry(self, entry: Path) -> None:
        """Report unknown folders and links next to `data/`; plain files are allowed."""
        if entry.is_symlink():
            if entry.name not in (layout.DATA, layout.QUARANTINE):  # checked separately
                self._add("symbolic_link", entry, "is a symbolic link", "Remove it.")
        elif entry.is_dir() and entry.name not in layout.DATASET_FOLDERS:
            self._add("foreign", entry, "is not a folder of an export", "Remove it.")

    def days(self, folder: Path) -> list[str]:
        """The days with a folder in `data/` or `quarantine/`; everything else is reported."""
        days = []
        for entry in self.entries(folder) if self.is_folder(folder) else []:
            if day := layout.day_of(entry.name):
                days.append(day)
            else:
                self._add("foreign", entry, "is not a day of an export", "Remove it.")
        return days

    def _check_mode(self, path: Path, facts: os.stat_result, expected: int) -> None:
        if not is_mode(facts, expected):
            self.found.append(irregular_mode(self._relative(path), facts, expected))

    def _add(self, kind: Kind, path: Path, message: str, hint: str) -> None:
        self.found.append(Misplaced(kind, self._relative(path), message, hint))

    def _add_error(self, path: Path, error: OSError) -> None:
        self.found.append(Misplaced.unopened(self._relative(path), error))

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._root))
