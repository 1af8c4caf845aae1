"""Processes in which packages are not there, as where nobody installed them."""

from __future__ import annotations

from pathlib import Path

# Python runs a `sitecustomize` that it finds on its path when it starts.
_CODE = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
"""


def hide(folder: Path, *names: str) -> str:
    """A folder for PYTHONPATH; processes that have it first there cannot import the packages."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_CODE.format(names=set(names)))
    return str(folder)
