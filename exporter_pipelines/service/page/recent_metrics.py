"""The numbers of the page, which follow from all exports, are computed again only when they change.

They are over up to 20,000 runs, and take a second for some thousands.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from exporter_pipelines.service.history import History, HistoryQuery
from exporter_pipelines.service.models import ExportMetrics, ExportSummary

_KEPT = 50
_SECONDS = 60.0
_Known = tuple[tuple[object, ...], float, ExportMetrics]


class RecentMetrics:
    """The metrics of queries, as long as no newer export has ended; one for all requests.

    Args:
        history: Of the service.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: OrderedDict[HistoryQuery, _Known] = OrderedDict()
        self._lock = Lock()

    def of(self, query: HistoryQuery, newest: Sequence[ExportSummary]) -> ExportMetrics:
        """The metrics of a query.

        Args:
            query: Which exports.
            newest: The newest exports of all; a change among them makes the numbers old. What else
                may change them is seen a minute later.
        """
        stamp = tuple((each.id, each.status) for each in newest)
        with self._lock:
            known = self._known.get(query)
        if known and known[0] == stamp and time.monotonic() - known[1] < _SECONDS:
            return known[2]
        found = self._history.metrics(query)
        with self._lock:
            self._known[query] = (stamp, time.monotonic(), found)
            self._known.move_to_end(query)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found
