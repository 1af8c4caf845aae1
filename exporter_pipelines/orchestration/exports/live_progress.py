"""The live progress of a run, for other processes: the service reads it, and so do related runs.

On one machine it is a small file beside the locks of the runs, below DAGSTER_HOME. An instance
whose storage is a database server may span machines, so there it is a value in that storage.
It is never in the output folder: readers of exports have no use for it.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg

from exporter_pipelines.contracts.progress import Progress
from exporter_pipelines.orchestration.dagster_internals.one_machine import is_on_one_machine
from exporter_pipelines.orchestration.dagster_internals.stored_values import (
    delete_value,
    read_value,
    write_value,
)

WRITE_EVERY_S = 1.0
_RUN_ID = re.compile(r"[0-9a-f-]{1,64}")


@dataclass(frozen=True)
class LiveProgress:
    """What a run has written about itself.

    Attributes:
        progress: Over all days of the run.
        at: When, in seconds since 1970 on the clock of its machine.
    """

    progress: Progress
    at: float


class LiveProgressWriter:
    """Writes the progress of a run when it has changed, at most once per second, until `end`.

    A thread writes, so that an export never waits for it.

    Args:
        instance: Of the run.
        run_id: Of the run.
        now: Returns the progress at the moment.
    """

    def __init__(
        self, instance: dg.DagsterInstance, run_id: str, now: Callable[[], Progress]
    ) -> None:
        self._instance, self._run_id, self._now = instance, run_id, now
        self._ended = threading.Event()
        self._written: Progress | None = None
        self._thread = threading.Thread(target=self._write_on, name="live progress", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop writing, and remove what was written."""
        self._ended.set()
        self._thread.join(5)
        forget(self._instance, self._run_id)

    def _write_on(self) -> None:
        self._write()
        while not self._ended.wait(WRITE_EVERY_S):
            self._write()

    def _write(self) -> None:
        progress = self._now()
        if progress == self._written:
            return
        # Broad: a full disk or an unreachable storage must not end an export here. If it stays
        # away, the run itself fails with the reason when it records a day.
        with suppress(Exception):
            _store(self._instance, self._run_id, LiveProgress(progress, time.time()))
            self._written = progress


def live_progress(instance: dg.DagsterInstance, run_id: str) -> LiveProgress | None:
    """The newest progress of a run; None before its first day and after its end."""
    text = _read(instance, run_id)
    if not text:
        return None
    try:
        found = json.loads(text)
        return LiveProgress(Progress(**found["progress"]), found["at"])
    except (ValueError, TypeError, KeyError):  # written by another version
        return None


def forget(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove the progress of a run that has ended or was killed. Raises nothing."""
    # Broad: the storage may be away; the sensor for dead runs tries again.
    with suppress(Exception):
        if is_on_one_machine(instance):
            _file(instance, run_id).unlink(missing_ok=True)
        else:
            delete_value(instance, _key(run_id))


def _store(instance: dg.DagsterInstance, run_id: str, live: LiveProgress) -> None:
    text = json.dumps(asdict(live))
    if not is_on_one_machine(instance):
        write_value(instance, _key(run_id), text)
        return
    file = _file(instance, run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
    new.replace(file)


def _read(instance: dg.DagsterInstance, run_id: str) -> str | None:
    if not is_on_one_machine(instance):
        return read_value(instance, _key(run_id))
    try:
        return _file(instance, run_id).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _file(instance: dg.DagsterInstance, run_id: str) -> Path:
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return Path(instance.storage_directory()) / "run_progress" / f"{run_id}.json"


def _key(run_id: str) -> str:
    return f"exporter_pipelines/progress/{run_id}"
