"""Follows exports for clients that wait: all clients of one export share one look at it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import anyio
from starlette.concurrency import run_in_threadpool

from exporter_pipelines.service.exports import Exports
from exporter_pipelines.service.models import Export

ENDED = ("completed", "held", "failed", "cancelled")
_FRESH_S = 0.7
_MOST_KEPT = 200


@dataclass
class _Seen:
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    export: Export | None = None


class Watcher:
    """Looks at exports.

    Args:
        exports: Of the service.
    """

    def __init__(self, exports: Exports) -> None:
        self._exports = exports
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, export_id: str) -> Export:
        """The export as it is now, or was a moment ago. Blocks.

        Raises:
            Problem: 404 if there is none.
        """
        with self._lock:
            seen = self._seen.setdefault(export_id, _Seen())
            self._seen.move_to_end(export_id)
            while len(self._seen) > _MOST_KEPT:
                self._seen.popitem(last=False)
        with seen.lock:
            if seen.export is None or time.monotonic() - seen.at > _FRESH_S:
                seen.export = self._exports.get(export_id)
                seen.at = time.monotonic()
            return seen.export

    async def wait(self, export_id: str, seconds: float) -> Export:
        """The export once it has ended, or as it is after `seconds`."""
        ends = time.monotonic() + seconds
        while True:
            export = await run_in_threadpool(self.look, export_id)
            left = ends - time.monotonic()
            if export.status in ENDED or left <= 0:
                return export
            await anyio.sleep(min(1.0, left))
