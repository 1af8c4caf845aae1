"""System calls of a living process that kill it, or fail, by `strace --inject`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from exporter_pipelines_tests.torture.trial import Trial

CALLS = {
    "write": "write",
    "fsync": "fsync",
    "rename": "?rename,?renameat",
    "exchange": "renameat2",
    "mkdir": "?mkdir,?mkdirat",
    "unlink": "?unlink,unlinkat,?rmdir",
    "link": "?link,?linkat",
    "open": "?open,openat",
    "chmod": "fchmod,?chmod,fchmodat",
    "utime": "utimensat",
    "close": "close",
    "list": "getdents64",
}
"""Kind of call -> its names on the machines that there are; a `?` forgives an unknown one."""


def require(trial: Trial) -> None:
    """Skip the campaign where strace is missing or may not trace.

    Raises:
        SkippedError: with what to do.
    """
    if not shutil.which("strace"):
        raise trial.skip("strace is not installed; install the system's package of that name")
    tried = subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False)
    if tried.returncode:
        raise trial.skip("strace may not trace here (ptrace is forbidden)")


@contextmanager
def injecting(pid: int, *injections: str) -> Iterator[None]:
    """Trace a process and its threads for a block; it must not have ended yet.

    Args:
        pid: Of the process, which waits for something meanwhile.
        *injections: Such as `fsync:signal=KILL:when=3` or `write:error=ENOSPC`.
    """
    arguments = [part for injection in injections for part in ("-e", f"inject={injection}")]
    names = ",".join(injection.partition(":")[0] for injection in injections)
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", "/dev/null", "-e", f"trace={names}", *arguments, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr
    try:
        said = tracer.stderr.readline()
        if "attached" not in said:
            raise RuntimeError(f"strace does not attach: {said.strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate()
