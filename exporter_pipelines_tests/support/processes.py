"""Exports in processes of their own, which can be killed or race with each other."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Event
from pathlib import Path

from exporter_pipelines.errors import SupersededError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local import switching
from exporter_pipelines_tests.support.datasets import dataset, export, outcome_of

# The server has imported everything, and each process is a fork of it: 10 ms instead of 1.5 s.
FORKS = multiprocessing.get_context("forkserver")
# Pandera imports what it judges with at the first verdict; without this, each process would.
FORKS.set_forkserver_preload(
    [
        "exporter_pipelines_tests.support.processes",
        "exporter_pipelines_tests.support.bucket_days",
        "pandera.backends.pandas.builtin_checks",
        "obstore",
    ]
)


def start_export(
    url: str,
    root: Path,
    day: str,
    *,
    staged: Event | None = None,
    go_on: Event | None = None,
    dies_at: str = "",
) -> ForkServerProcess:
    """Export the logs of a day in another process.

    Args:
        staged: Is set when the day is staged and judged.
        go_on: Is waited for before publishing.
        dies_at: Name of a file: the process is killed when it would rename something to it.
    """
    process = FORKS.Process(target=_export, args=(url, root, day, staged, go_on, dies_at))
    process.start()
    return process


def pool(size: int) -> Pool:
    """Processes for `attempt`."""
    return FORKS.Pool(size)


def attempt(url: str, root: Path, day: str, table: str) -> tuple[str, str]:
    """Export the day of a table as `logs`: ("published", sha256) or ("superseded", message)."""
    try:
        source = dataset(source={"table": table})
        return "published", export(url, source, day, LocalStore(root)).files[0].sha256
    except SupersededError as error:
        return "superseded", str(error)


def die_at_rename_to(name: str) -> None:
    """Have this process killed when it would rename something to a file of this name."""
    rename = os.rename

    def rename_or_die(old: Path, new: Path) -> None:
        if Path(new).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(old, new)

    os.rename = rename_or_die  # type: ignore[assignment]


_CALLS = ("open", "write", "rename", "fsync", "link", "unlink", "utime", "mkdir", "ftruncate")


def die_at(step: int) -> None:
    """Have this process killed before its n-th call that changes the disk."""
    left = [step]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def replacement(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return replacement

    for name in _CALLS:
        setattr(os, name, counted(getattr(os, name)))
    switching.exchange = counted(switching.exchange)  # type: ignore[assignment]


def export_and_die(url: str, root: Path, day: str, step: int) -> None:
    """Export the logs of a day, and be killed before the n-th call that changes the disk."""
    die_at(step)
    outcome_of(url, dataset(), day, LocalStore(root))


def _export(
    url: str, root: Path, day: str, staged: Event | None, go_on: Event | None, dies_at: str
) -> None:
    die_at_rename_to(dies_at)

    def before_publish() -> None:
        if staged:
            staged.set()
        if go_on:
            go_on.wait()

    export(url, dataset(), day, LocalStore(root), before_publish=before_publish)
