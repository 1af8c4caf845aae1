"""Exports in processes of their own, to be killed, stopped, raced and lied to by the disk."""

from __future__ import annotations

import multiprocessing.sharedctypes
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.bucket_days import die_at_request, open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.processes import FORKS

DAY = "2026-11-01"
_ROOM = 8192


@dataclass
class Attempt:
    """One attempt at the logs of `DAY`, in a process that waits at the point that the test names.

    Attributes:
        url, root: Where from and where to: a folder, or a server of buckets.
        changes: To the dataset, as `datasets.dataset` takes them.
        waits: `begin` or `publish`: what `go_on` must be set for; empty for nothing.
        dies_at: It is killed before its n-th request to a bucket; 0 for never.
    """

    url: str
    root: Path | ObjectServer
    changes: dict[str, Any] = field(default_factory=dict)
    waits: str = ""
    timezone: str = "UTC"
    dies_at: int = 0

    def __post_init__(self) -> None:
        self.ready, self.go_on = FORKS.Event(), FORKS.Event()
        # In shared memory: a pipe would be written with the very calls that are made to fail.
        # Without a lock: one killed while it held it would keep it for ever.
        self._said = FORKS.Array("c", _ROOM, lock=False)
        self.process: ForkServerProcess = FORKS.Process(
            target=_export,
            args=(
                self.url,
                self.root,
                self.changes,
                self.waits,
                self.ready,
                self.go_on,
                self._said,
                self.dies_at,
            ),
        )

    def start(self) -> Attempt:
        """Begin; returns at once."""
        self.process.start()
        return self

    def started(self) -> Attempt:
        """Begin, and return when it waits."""
        self.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Return when it waits."""
        if not self.ready.wait(60):
            raise TimeoutError(f"the attempt does not get to {self.waits}")

    def finish(self, timeout: float = 90) -> str:
        """What became of it: the sha256s of what it published, or the error; empty when killed."""
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return f"HungError: alive after {timeout:g} s"
        return bytes(self._said.value).decode()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, and not by an error before it could say anything."""
        return self.process.exitcode == -signal.SIGKILL

    @property
    def pid(self) -> int:
        """Of its process, while that lives."""
        return self.process.pid or 0


def _export(
    url: str,
    root: Path | ObjectServer,
    changes: dict[str, Any],
    waits: str,
    ready: Event,
    go_on: Event,
    said: multiprocessing.sharedctypes.SynchronizedString,
    dies_at: int,
) -> None:
    def wait() -> None:
        ready.set()
        go_on.wait()

    if waits == "begin":
        wait()
    try:
        manifest = export(
            url,
            dataset(**changes),
            DAY,
            _store(root, dies_at),
            run_id=os.urandom(8).hex(),
            before_publish=wait if waits == "publish" else ready.set,
        )
        said.value = f"published {' '.join(file.sha256 for file in manifest.files)}".encode()
    except Exception as error:
        said.value = f"{type(error).__name__}: {error}".encode()[: _ROOM - 1]


def _store(root: Path | ObjectServer, dies_at: int) -> Store:
    if not isinstance(root, ObjectServer):
        return LocalStore(root)
    store = open_bucket(root)
    store.bucket.before_request = die_at_request(dies_at)
    return store
