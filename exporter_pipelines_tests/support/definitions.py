"""The tests' own definitions in place of those of the checkout, which its owner may have edited."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import exporter_pipelines.defs
from exporter_pipelines.defs_files import definitions

DEFS = Path(__file__).parent.parent / "definitions"


def install_definitions() -> None:
    """Have this process find the tests' definitions as `exporter_pipelines.defs`."""
    exporter_pipelines.defs.__path__ = [str(DEFS)]
    exporter_pipelines.defs.__file__ = str(DEFS / "__init__.py")
    definitions.DEFS = DEFS


def use_definitions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have this process find the definitions of a folder, until the patch ends."""
    patch.setattr(exporter_pipelines.defs, "__path__", [str(folder)])
    patch.setattr(exporter_pipelines.defs, "__file__", str(folder / "__init__.py"))
    patch.setattr(definitions, "DEFS", folder)


def copy_definitions(folder: Path) -> None:
    """Copy the tests' definitions into a folder that does not exist yet."""
    shutil.copytree(DEFS, folder, ignore=shutil.ignore_patterns("__pycache__"))
