"""Freed memory goes back to where the next batch can take it.

Arrow's own allocator (mimalloc) and glibc's arenas keep freed pages per thread. A batch is
allocated in one thread and freed in another, so what they keep adds up: 40 to 50 MiB at the peak
of an export. One heap for all threads takes no more CPU time: they hold few pieces, and large ones.

These settings apply to a whole process, so only entry points make them: the code location,
the command `exporter` and the benchmarks. Importing another module of this package makes none.
"""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

_KEPT_BYTES = 128 * 1024 * 1024
"""Free memory at the heap's end that is kept rather than given back to the kernel. More than the
batches of an export take, so that each new one finds pages that are there already."""

_OWN_MAPPING_BYTES = 32 * 1024 * 1024
"""Pieces above it get pages of their own, which go back with them; glibc's largest."""

_OOM_SCORE = 500
"""From 0 (as any process) to 1000: counts like half of the memory of the machine or the unit."""


def limit_malloc_arenas() -> None:
    """Let Arrow and all threads of this process allocate from malloc's main arena.

    The heap keeps up to 128 MiB of what was freed for the next batch: exporting two million rows
    then meets 10,000 page faults instead of 134,000. Call it before Arrow is imported and before
    threads start: Arrow reads its variable once, and threads keep the arena that they have. Where
    malloc is not glibc's (macOS, musl, Windows) only Arrow changes. A pool that the environment
    names for Arrow stays.
    """
    # Arrow's variable, not a setting of ours: Arrow reads it when it is loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # noqa: TID251
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_ARENA_MAX, 1)
    # Both: to set one of them ends glibc's own adapting of the other.
    mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def pause_gc() -> None:
    """Collect no garbage until `freeze_gc`. Call it before imports that take long.

    Imports allocate much and free next to nothing. The collections that they cause took a tenth of
    the time in which a command starts.
    """
    gc.disable()


def freeze_gc() -> None:
    """Leave everything that was imported so far out of Python's garbage collections.

    Call it after the imports. The 100,000 objects of pandas and Pandera, and as many of Dagster,
    never become garbage, but every full collection looks at them, and one at exit: 0.1 s of a
    process that exports a day through `api`, 0.3 s of one of Dagster's.
    """
    gc.freeze()
    gc.enable()


def prefer_for_oom_kill() -> None:
    """Let the kernel end this process rather than others when memory is short.

    For runs: a run that is killed is ended by a sensor and can be repeated, whereas daemon and code
    server are what notices it. Without this the kernel picks the largest process of the service,
    which may be any of them. Raising the score needs no privilege. Does nothing outside Linux.
    """
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        if int(score.read_text()) < _OOM_SCORE:
            score.write_text(str(_OOM_SCORE))
