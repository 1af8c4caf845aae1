"""Importing the package changes nothing in its process; entry points set its memory up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from exporter_pipelines_tests.support.projects import ROOT

# Each call of a C library's mallopt is noted, and made.
_PROBE = """
import ctypes, gc, json, os, sys
calls, before, CDLL = [], dict(os.environ), ctypes.CDLL
frozen = gc.get_freeze_count()  # Python 3.12 begins with some
class Library(CDLL):
    def __getattr__(self, name):
        if name == "mallopt":
            calls.append(name)
        return super().__getattr__(name)
ctypes.CDLL = Library
sys.argv = ["exporter", "doctor", "--help"]
try:
    exec({code!r})
except SystemExit:
    pass
import pyarrow
changed = [k for k in before.keys() | os.environ.keys() if before.get(k) != os.environ.get(k)]
print("\\n" + json.dumps([
    len(calls), sorted(changed), gc.get_freeze_count() - frozen,
    pyarrow.default_memory_pool().backend_name,
]))
"""


def effects(code: str, **environment: str) -> dict[str, Any]:
    """What running `code` changes in a fresh process."""
    inherited = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(code=code)],
        cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    return dict(zip(("mallopt", "environment", "frozen", "pool"), found, strict=True))


def test_importing_changes_nothing() -> None:
    modules = (
        "exporter_pipelines",
        "exporter_pipelines.api",
        # Named in dagster.yaml, so the web server and the daemon import them.
        "exporter_pipelines.orchestration.run_queue",
        "exporter_pipelines.orchestration.sqlite_history",
        "exporter_pipelines.components",
        "exporter_pipelines.cli",
    )
    found = effects(f"import {', '.join(modules)}")
    assert (found["mallopt"], found["environment"], found["frozen"]) == (0, [], 0)
    assert found["pool"] != "system"


@pytest.mark.parametrize(
    "entry_point",
    [
        "import exporter_pipelines.definitions",
        "from exporter_pipelines.__main__ import main; main()",
    ],
)
def test_entry_points_limit_malloc_before_arrow_is_imported_and_freeze_what_they_imported(
    entry_point: str,
) -> None:
    found = effects(entry_point)
    assert (found["mallopt"], found["environment"]) == (1, ["ARROW_DEFAULT_MEMORY_POOL"])
    assert found["pool"] == "system"
    assert found["frozen"] > 50_000


def test_a_pool_that_the_environment_names_for_arrow_stays() -> None:
    found = effects("import exporter_pipelines.definitions", ARROW_DEFAULT_MEMORY_POOL="mimalloc")
    assert (found["environment"], found["pool"]) == ([], "mimalloc")
