"""`exporter init` in this process, over a copy of the definitions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from exporter_pipelines import cli
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import export
from exporter_pipelines_tests.support.definitions import copy_definitions, use_definitions

_PACKAGE = "exporter_pipelines.defs."


class Init:
    """The command, the folder that it writes to, and exports of what it wrote."""

    def __init__(self, defs: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.defs, self.store, self._monkeypatch = defs, store, monkeypatch
        self.url = ""

    def read(self, url: str) -> Init:
        """Read another database from now on."""
        self.url = url
        self._monkeypatch.setenv("EXPORTER_SOURCE_URL", url)
        return self

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run it and return its output and its errors."""
        done: Result = CliRunner().invoke(cli.main, ["init", *arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    def dataset(self, name: str) -> Dataset:
        """A dataset as written; its file and its schema are checked."""
        _forget_schemas(name)
        return Definitions().named(name)

    def export(self, name: str, day: str) -> Manifest:
        """Export one day of a dataset as written."""
        return export(self.url, self.dataset(name), day, self.store)

    def source(self, name: str) -> dict[str, Any]:
        """`source:` of a dataset as written."""
        found: dict[str, Any] = yaml.safe_load(self.text(name, "defs.yaml"))["attributes"]["source"]
        return found

    def text(self, name: str, file: str = "schema.py") -> str:
        """A file as written."""
        return (self.defs / name / file).read_text()


@contextmanager
def initiated(folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Init]:
    """A project with the tests' definitions, which `exporter init` may change."""
    defs = folder / "project" / "defs"
    defs.parent.mkdir()
    copy_definitions(defs)
    use_definitions(defs, monkeypatch)
    _forget_schemas()
    yield Init(defs, store, monkeypatch)
    _forget_schemas()


def _forget_schemas(dataset: str = "") -> None:
    """Have Python import the schema of a dataset again; without a name, all of them."""
    for name in [name for name in sys.modules if name.startswith(f"{_PACKAGE}{dataset}")]:
        del sys.modules[name]
    importlib.invalidate_caches()
