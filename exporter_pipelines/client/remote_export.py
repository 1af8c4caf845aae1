"""An export that the service runs: follow it, cancel it, rerun it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.waiting import AWAY_S, wait_until_ended
from exporter_pipelines.service.models import Export

_LONG_POLL_S = 30
_RESULTS = 1_000


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
        return self._with_all_results(self._ask())

    def wait(
        self,
        on_progress: Callable[[Export], None] | None = None,
        *,
        every_s: float = 1.0,
        timeout_s: float | None = None,
    ) -> Export:
        """Wait until the export has ended, and return it with the result of each day.

        It may be held, failed or cancelled.

        A service that is restarted meanwhile is waited for.

        Args:
            on_progress: Called with the export each time the service was asked; of an export of
                more than 100 days with the results of the first ones.
            every_s: Seconds between two questions.
            timeout_s: Give up after this time; the export goes on.

        Raises:
            TimeoutError: the export has not ended within `timeout_s`.
            ServiceUnreachableError: the service was away for more than two minutes.
        """
        longest = 0 if on_progress else _LONG_POLL_S
        ended = wait_until_ended(
            lambda left: self._ask(longest if left is None else min(left, longest), AWAY_S),
            on_progress,
            what=f"export {self.id}",
            every_s=every_s,
            timeout_s=timeout_s,
        )
        return self._with_all_results(ended)

    def cancel(self) -> Export:
        """Ask the service to stop the export. Published days stay.

        Raises:
            StateConflictError: it has ended already.
        """
        return self._with_all_results(self._connection.post(f"{self._path}/cancel", Export))

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

    def _with_all_results(self, export: Export) -> Export:
        """The export with what the service leaves out of an answer about many days."""
        results, more = list(export.results), export.more_results
        while more:
            params = {"limit": _RESULTS, "offset": len(results)}
            page = self._connection.get(self._path, Export, params=params)
            if not page.results:
                break
            results, more = [*results, *page.results], page.more_results
        self.last = export.model_copy(update={"results": results, "more_results": more})
        return self.last

    def __repr__(self) -> str:
        return f"RemoteExport({self.id!r}, status={self.last.status if self.last else None!r})"
