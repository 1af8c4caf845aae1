"""Python imports this when it starts, in a process whose PYTHONPATH begins with this folder.

Dagster's code server starts each run in a new interpreter, which takes 3 s of CPU time. Here it is
a fork of a process that has imported the libraries, see `forked_commands`; it imports the product.
"""

from __future__ import annotations

import multiprocessing
import runpy
from multiprocessing.context import BaseContext
from pathlib import Path

_get_context = multiprocessing.get_context


def _forking(method: str | None = None) -> BaseContext:
    if method != "spawn":
        return _get_context(method)
    context = _get_context("forkserver")
    commands = runpy.run_path(str(Path(__file__).parents[1] / "forked_commands.py"))
    context.set_forkserver_preload(list(commands["LIBRARIES"]))
    return context


multiprocessing.get_context = _forking  # type: ignore[assignment]
