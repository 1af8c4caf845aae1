"""Dagster's code servers that a test has started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exporter_pipelines_tests.support.waiting import wait_until


def wait_for_code_servers(folder: Path) -> None:
    """Wait until the code servers with this working directory have ended, and their runs.

    Call it before the folder or the database of the history is removed. A code server reads the
    history when its last run ends. If that fails, the thread that would end the server dies, and
    the server stays for good.
    """
    wait_until(
        lambda: list(_code_servers(folder)),
        f"the code servers in {folder} and their runs have ended",
        until=lambda found: not found,
    )


def _code_servers(folder: Path) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is of another user
            is_server = b"\0api\0grpc\0" in (process / "cmdline").read_bytes()
            if is_server and (process / "cwd").readlink() == folder:
                yield process.name
