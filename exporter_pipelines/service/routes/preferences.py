"""The header `Prefer: wait=SECONDS` (RFC 7240): answer when the export has ended."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Response
from starlette.requests import HTTPConnection

from exporter_pipelines.service.watching import Watcher

MOST_S = 60
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)

Prefer = Annotated[
    str,
    Header(
        description="`wait=30`: answer when the export has ended, at the latest after 30 s; at "
        "most 60.",
        max_length=200,
    ),
]


def seconds_to_wait(prefer: str, response: Response) -> int:
    """How long to wait, which the response then confirms; other preferences are ignored."""
    found = _WAIT.search(prefer)
    if not found:
        return 0
    seconds = min(int(found[1]), MOST_S)
    response.headers["Preference-Applied"] = f"wait={seconds}"
    return seconds


def watcher_of(connection: HTTPConnection) -> Watcher:
    """The watcher of the service that received a request."""
    watcher: Watcher = connection.app.state.watcher
    return watcher
