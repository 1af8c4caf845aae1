"""Shows that the process of a run is alive: by a lock, and by a lease that the run renews.

The lock answers at once, but only on the machine of the run. The lease is a number in Dagster's
storage that the run increases every minute, so any machine can see whether it still changes.
docs/decisions/0023-locks-and-leases-of-runs.md has the reasons.
"""

from __future__ import annotations

import atexit
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from exporter_pipelines.orchestration.dagster_internals.stored_values import (
    delete_value,
    read_value,
    write_value,
)
from exporter_pipelines.orchestration.exports import live_progress
from exporter_pipelines.orchestration.exports.run_progress import end_run_progress
from exporter_pipelines.stores.local import run_locks
from exporter_pipelines.stores.local.locks import FileLock

RENEW_SECONDS = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Presence:
    """What a run has stored about its process.

    Attributes:
        host: Name of its machine or container.
        boot: Id of the boot of that machine; containers of one machine have the same.
        lock: Path of its lock file there; empty if the lock could not be taken.
        renewals: The lease: how often the run has renewed it.
    """

    host: str
    boot: str
    lock: str
    renewals: int

    @property
    def is_here(self) -> bool:
        """Whether the process ran on this host since its last boot."""
        return (self.host, self.boot) == this_host()

    @property
    def holds_lock(self) -> bool | None:
        """Whether the process holds its lock; None when that cannot be tested here."""
        return run_locks.is_held(Path(self.lock)) if self.is_here and self.lock else None


class _Announced:
    """The presence of the run that this process executes, until `end`."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self.run_id = run_id
        self._instance, self._key = instance, _key(run_id)
        self._lock: FileLock | None = run_locks.hold(locks_folder(instance), run_id)
        host, boot = this_host()
        lock = str(run_locks.lock_of(locks_folder(instance), run_id)) if self._lock else ""
        self._presence = Presence(host, boot, lock, 0)
        self._ended = threading.Event()
        self._store(0)
        self._thread = threading.Thread(target=self._renew, name="run lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop renewing, and remove lease and lock."""
        self._ended.set()
        self._thread.join(5)
        with suppress(Exception):  # the storage is gone; the sensor removes the lease
            delete_value(self._instance, self._key)
        if self._lock:
            self._lock.release(remove=True)

    def _renew(self) -> None:
        renewals = 0
        while not self._ended.wait(RENEW_SECONDS):
            renewals += 1
            self._store(renewals)

    def _store(self, renewals: int) -> None:
        # Broad: no failure of Dagster's storage may end an export here. If the storage stays away,
        # the run itself fails with the reason when it records a day.
        with suppress(Exception):
            text = json.dumps({**self._presence.__dict__, "renewals": renewals})
            write_value(self._instance, self._key, text)


_announced: list[_Announced] = []
"""At most one. It ends at exit, because Dagster writes the last event of a run after every hook
that a resource has."""


def announce(instance: dg.DagsterInstance, run_id: str) -> None:
    """Hold the lock and the lease of a run until this process ends. Raises nothing.

    The progress of the run is removed at the same time.
    """
    if _announced and _announced[0].run_id == run_id:
        return
    _end_announced()  # a process executes one run after another
    _announced.append(_Announced(instance, run_id))


@atexit.register
def _end_announced() -> None:
    end_run_progress()
    while _announced:
        _announced.pop().end()


def presence_of(instance: dg.DagsterInstance, run_id: str) -> Presence | None:
    """What a run has stored; None before its first step and after its end."""
    text = read_value(instance, _key(run_id))
    return Presence(**json.loads(text)) if text else None


def forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove lease, lock file and progress of a run that has ended."""
    live_progress.forget(instance, run_id)
    delete_value(instance, _key(run_id))
    run_locks.forget(locks_folder(instance), run_id)


def locks_folder(instance: dg.DagsterInstance) -> Path:
    """Folder of the locks of an instance on this machine."""
    return (Path(instance.storage_directory()) / "run_locks").absolute()


def this_host() -> tuple[str, str]:
    """Name of this host, and the id of its boot (empty where the kernel has none)."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = ""
    return socket.gethostname(), boot


def _key(run_id: str) -> str:
    return f"exporter_pipelines/runs/{run_id}"
