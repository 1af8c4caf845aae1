"""Keeps a cancel out of the moments in which it would leave something half done.

Dagster turns SIGTERM and SIGINT into an exception at whatever line an asset is. Between publishing
a day and recording it, that would leave a published day that no history knows.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], Any] | int
_waiting: list[int] = []


@contextmanager
def cancel_waits() -> Iterator[None]:
    """Let a cancel wait for `deliver_cancel`; keep the block short.

    When the block raises, the cancel is delivered at once: nothing is left to be recorded.
    """
    # Only the main thread receives signals, and only there handlers can be changed.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _blocked():
        before = {number: signal.signal(number, _wait) or signal.SIG_DFL for number in _SIGNALS}
    try:
        yield
    except BaseException:
        _restore(before)
        deliver_cancel()
        raise
    _restore(before)


def deliver_cancel() -> None:
    """Act on a cancel that arrived meanwhile, if any, as if it came now."""
    if _waiting:
        number = _waiting[-1]
        _waiting.clear()
        signal.raise_signal(number)


def _wait(number: int, _frame: FrameType | None) -> None:
    _waiting.append(number)


def _restore(handlers: Mapping[signal.Signals, _Handler]) -> None:
    with _blocked():
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _blocked() -> Iterator[None]:
    """Hold signals back while their handlers are swapped; a half-done swap would last."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
