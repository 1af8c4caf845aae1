"""Keeps the output of the process of the tests open.

pytest captures into files that are its sys.stdout and sys.stderr. If one is closed, every later
test of the process fails, and nothing names the cause. It happened: the handler of `absl`, which
Croissant's reader imports, keeps the sys.stderr that it finds. Dagster has all handlers closed when
a run begins, and this one then closes its file unless that is sys.stderr; inside click's CliRunner
it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


@contextmanager
def kept_open(*streams: TextIO) -> Iterator[None]:
    """Whoever closes one of the streams, or what it writes to, gets an error instead."""
    files: list[Any] = [stream.buffer for stream in streams]
    for file in files:
        file.close = _refuse
    try:
        yield
    finally:
        for file in files:
            del file.close


def _refuse() -> None:
    raise RuntimeError(
        "This would close the output of the process of the tests, and every later test would fail. "
        "Do it in a process of its own."
    )
