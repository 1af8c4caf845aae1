"""What a process costs: wall time, CPU time, largest memory, and the server's CPU time.

Imports nothing but the standard library: a candidate uses it in its own process.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Cost:
    """What one candidate took once.

    Attributes:
        wall_s: From start to end.
        client_cpu_s: User and system time of the client's process and its children.
        server_cpu_s: The same of the server's processes.
        peak_rss_mb: Largest resident set of the client's process, in MiB.
        said: The JSON object in the last line that it printed, if it is one.
    """

    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    peak_rss_mb: float
    said: dict[str, Any]


class CandidateFailedError(Exception):
    """A candidate ended with an error; the message holds its last lines."""


def run(
    command: Sequence[str | Path],
    *,
    server_cpu_s: Callable[[], float],
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Cost:
    """Run a command to its end and say what it cost.

    Args:
        command: What to run.
        server_cpu_s: Reads the server's CPU time.
        stdout: A file for its standard output; kept in memory if left out.
        environment: In place of this process's own.
        folder: Working directory.

    Raises:
        CandidateFailedError: it did not exit with 0.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as kept:
        output = stdout.open("wb") if stdout else kept
        server_before, started = server_cpu_s(), time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env=environment, cwd=folder
        )
        peak = _PeakMemory(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.stop()
        time.sleep(0.05)  # until the server has waited for the backend that ended
        server_s = server_cpu_s() - server_before
        if stdout:
            output.close()
        kept.seek(0)
        errors.seek(0)
        lines = kept.read().decode(errors="replace").splitlines()
        if process.returncode:
            tail = [*lines, *errors.read().decode(errors="replace").splitlines()][-15:]
            raise CandidateFailedError("\n".join([f"exit code {process.returncode}", *tail]))
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, server_s, peak.mib, _said(lines))


def _said(lines: list[str]) -> dict[str, Any]:
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class _PeakMemory:
    """Looks at a process's own high-water mark until it ends.

    What the kernel gives with `wait` would not do: it begins with the memory of the process that
    forked.
    """

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            self.mib = max(self.mib, _high_water_mib(self._status))


def peak_mib() -> float:
    """The largest resident set of this process so far, in MiB."""
    return _high_water_mib(Path("/proc/self/status"))


def _high_water_mib(status: Path) -> float:
    try:
        text = status.read_text()
    except OSError:
        return 0.0
    found = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0  # none: it is ending


def cpu_s_of_server(pid: int) -> float:
    """CPU time of all processes that a PostgreSQL server has or had, in seconds.

    Args:
        pid: Of the postmaster. It waits for every backend that ends, so the kernel adds their
            times to its own.
    """
    while True:
        own, ended = _cpu_s(Path(f"/proc/{pid}/stat")) or (0.0, 0.0)
        running = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            if (times := _cpu_s(stat, parent=pid)) is not None:
                running += times[0]
        # A backend that ended meanwhile would be counted here and there, or nowhere.
        if (_cpu_s(Path(f"/proc/{pid}/stat")) or (0.0, 0.0))[1] == ended:
            return own + ended + running


def _cpu_s(stat: Path, parent: int | None = None) -> tuple[float, float] | None:
    """(own, of children that ended) of a process, or None if it is gone or another's child."""
    try:
        # The name in brackets may hold anything, so count from behind it.
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if parent is not None and int(fields[1]) != parent:
        return None
    user, system, ended_user, ended_system = (int(text) / _TICKS for text in fields[11:15])
    return user + system, ended_user + ended_system
