"""Delays a cancel while acting on it would leave something half done.

Dagster turns SIGTERM and SIGINT into an exception at whatever line an asset is. Between publishing
a day and recording it, that would leave a published day that Dagster's history does not know.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_waiting: list[int] = []
_handlers: dict[signal.Signals, Any] = {}
"""Dagster's handlers, while a cancel is delayed."""


def delay_cancel() -> None:
    """From now on, let a cancel wait for `deliver_cancel`; keep the time between them short."""
    # Only the main thread receives signals, and only there handlers can be changed.
    if _handlers or threading.current_thread() is not threading.main_thread():
        return
    with _blocked():
        for number in _SIGNALS:
            _handlers[number] = signal.signal(number, _wait) or signal.SIG_DFL


def deliver_cancel() -> None:
    """End the delay, and act on a cancel that arrived in the meantime as if it came now."""
    with _blocked():
        while _handlers:
            signal.signal(*_handlers.popitem())
    if _waiting:
        number = _waiting[-1]
        _waiting.clear()
        signal.raise_signal(number)


@contextmanager
def cancel_delayed() -> Iterator[None]:
    """Delay a cancel in a block, and beyond it until `deliver_cancel`.

    When the block raises, the cancel is delivered at once: nothing is left to be recorded.
    """
    delay_cancel()
    try:
        yield
    except BaseException:  # raised again
        deliver_cancel()
        raise


def _wait(number: int, _frame: FrameType | None) -> None:
    _waiting.append(number)


@contextmanager
def _blocked() -> Iterator[None]:
    """Block signals while their handlers are swapped; a half-done swap would last."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
