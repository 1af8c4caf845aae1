"""An export that the service runs: follow it, cancel it, rerun it."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.service.models import Export

ENDED = frozenset({"completed", "held", "failed", "cancelled"})
"""States of an export that will not change."""

_LONG_POLL_S = 30
AWAY_S = 120.0
"""How long `wait` tolerates that the service is away, as while it is restarted."""


class RemoteExport:
    """An export by its id. Exports started in the Dagster UI or by a schedule have one as well.

    Attributes:
        id: Of the export.
        last: What the service said last; None before it was asked.
    """

    def __init__(self, connection: Connection, id: str, last: Export | None = None) -> None:  # noqa: A002 - the field's name
        self.id, self.last = id, last
        self._connection, self._path = connection, f"/exports/{quote(id, safe='')}"

    def status(self) -> Export:
        """Ask the service for the export, with its progress and the result of each day."""
        return self._ask()

    def wait(
        self,
        on_progress: Callable[[Export], None] | None = None,
        *,
        every_s: float = 1.0,
        timeout_s: float | None = None,
    ) -> Export:
        """Wait until the export has ended, and return it. It may be held, failed or cancelled.

        A service that is restarted meanwhile is waited for.

        Args:
            on_progress: Called with the export each time the service was asked.
            every_s: Seconds between two questions.
            timeout_s: Give up after this time; the export goes on.

        Raises:
            TimeoutError: the export has not ended within `timeout_s`.
            ServiceUnreachableError: the service was away for more than two minutes.
        """
        ends = time.monotonic() + timeout_s if timeout_s is not None else None
        while True:
            asked = time.monotonic()
            left = ends - asked if ends is not None else _LONG_POLL_S
            export = self._ask(0 if on_progress else min(left, _LONG_POLL_S), AWAY_S)
            if on_progress:
                on_progress(export)
            if export.status in ENDED:
                return export
            if ends is not None and time.monotonic() + every_s > ends:
                raise TimeoutError(f"export {self.id} is {export.status} after {timeout_s:g} s")
            time.sleep(max(every_s - (time.monotonic() - asked), 0))

    def cancel(self) -> Export:
        """Ask the service to stop the export. Published days stay.

        Raises:
            StateConflictError: it has ended already.
        """
        self.last = self._connection.post(f"{self._path}/cancel", Export)
        return self.last

    def rerun(self, only: Sequence[Literal["held", "failed"]] = ("held", "failed")) -> RemoteExport:
        """Export the days again that were not published, as a new export.

        Raises:
            StateConflictError: the export has not ended, or has no such day.
        """
        started = self._connection.post(
            f"{self._path}/rerun",
            Export,
            body={"only": list(only)},
            headers={"Idempotency-Key": uuid.uuid4().hex},
            repeatable=True,
        )
        return RemoteExport(self._connection, started.id, started)

    def _ask(self, wait_s: float = 0, retry_s: float | None = None) -> Export:
        seconds = math.ceil(wait_s)
        self.last = self._connection.get(
            self._path,
            Export,
            headers={"Prefer": f"wait={seconds}"} if seconds > 0 else None,
            timeout_s=seconds + 30.0 if seconds > 0 else None,
            **({"retry_s": retry_s} if retry_s is not None else {}),
        )
        return self.last

    def __repr__(self) -> str:
        return f"RemoteExport({self.id!r}, status={self.last.status if self.last else None!r})"
