"""Delays a cancel while a day is published and recorded.

Dagster turns SIGTERM and SIGINT into an exception at whatever line the asset executes. Between
publishing a day and recording it, that would leave a published day that Dagster's history lacks.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []
_handlers: dict[signal.Signals, Any] = {}
"""Dagster's signal handlers, saved while a cancel is delayed."""


def delay_cancel() -> None:
    """Delay a cancel until `deliver_cancel` is called, which should be soon."""
    # Only the main thread receives signals and may change their handlers.
    if _handlers or threading.current_thread() is not threading.main_thread():
        return
    with _blocked():
        for number in _SIGNALS:
            _handlers[number] = signal.signal(number, _remember) or signal.SIG_DFL


def deliver_cancel() -> None:
    """End the delay. A cancel that arrived in the meantime takes effect now."""
    with _blocked():
        while _handlers:
            signal.signal(*_handlers.popitem())
    if _received:
        number = _received[-1]
        _received.clear()
        signal.raise_signal(number)


@contextmanager
def cancel_delayed() -> Iterator[None]:
    """Delay a cancel during a block and afterwards, until `deliver_cancel` is called.

    If the block raises, the cancel takes effect at once, since there is nothing to record.
    """
    delay_cancel()
    try:
        yield
    except BaseException:  # raised again
        deliver_cancel()
        raise


def _remember(number: int, _frame: FrameType | None) -> None:
    _received.append(number)


@contextmanager
def _blocked() -> Iterator[None]:
    """Block signals while handlers are replaced, so that either all or none are."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
