"""SIGHUP, which a closed terminal sends, behaves like SIGTERM.

Python installs no handler for SIGHUP, and neither does Dagster: the signal ends the process at
once, without a message and without removing what is unfinished. Only entry points call this module,
because it changes a whole process: the code location, which every run loads, and the commands.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


def end_like_terminate() -> None:
    """Pass SIGHUP on as SIGTERM, to the handler that SIGTERM has at that moment.

    Dagster replaces its handler of SIGTERM several times during a run, and `cancelling` does so
    while a day is published; this follows them without using anything private of Dagster. A SIGHUP
    that is ignored stays ignored: `nohup` sets that. Does nothing outside the main thread, where
    Python allows no handlers.
    """
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    if threading.current_thread() is threading.main_thread() and not ignored:
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)
