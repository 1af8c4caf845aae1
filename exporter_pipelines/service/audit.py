"""The audit file: one line of JSON per change and per refused request."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.service.heads import TOKEN_FORM, Head
from exporter_pipelines.service.principals import Principal

_REFUSALS_PER_MINUTE = 120
_MAX_TEXT = 300
_LOG = logging.getLogger("exporter.audit")


class Audit:
    """Appends to the file; each line is whole, and has no query string, body or credentials.

    Attributes:
        refused: How many requests were refused, by reason; for the metrics.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.refused: Counter[str] = Counter()
        self._clock = clock
        self._minute, self._in_minute, self._left_out = -1, 0, 0

    def refuse_unwritable(self) -> None:
        """Raise a `ConfigurationError` when nothing can be appended."""
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._append(b"")
        except OSError as error:
            raise ConfigurationError(
                f"The audit file {self.path} cannot be written: {(error.strerror or '').lower()}.",
                "Set EXPORTER_AUDIT_FILE to a file that this user may write.",
            ) from None

    def changed(
        self, head: Head, who: Principal | None, peer: str, status: int, details: dict[str, str]
    ) -> None:
        """Record a request that could change something, with its result."""
        self._write(head, who, peer, {**details, "result": str(status)})

    def refused_request(
        self, head: Head, who: Principal | None, peer: str, status: int, why: str
    ) -> None:
        """Record a refusal. Of more than two a second, only the number is recorded."""
        self.refused[why] += 1
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._in_minute = minute, 0
        self._in_minute += 1
        if self._in_minute > _REFUSALS_PER_MINUTE:
            self._left_out += 1
            return
        extra = {"refused": why, "result": str(status)}
        if self._left_out:
            extra["left_out"] = str(self._left_out)
            self._left_out = 0
        self._write(head, who, peer, extra)

    def _write(self, head: Head, who: Principal | None, peer: str, more: dict[str, str]) -> None:
        line = {
            "at": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "user": who.name if who else "",
            "via": who.via if who else "",
            "peer": peer,
            "verb": head.method,
            "path": head.path,
            **more,
        }
        # JSON of ASCII characters: control characters and what hides text become \u escapes.
        text = json.dumps({name: _short(value) for name, value in line.items()})
        try:
            self._append(f"{text}\n".encode())
        except OSError:
            _LOG.exception("The audit file cannot be written. The line: %s", text)

    def _append(self, line: bytes) -> None:
        """Open it for each line, so that the file may be rotated."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def _short(value: str) -> str:
    return TOKEN_FORM.sub("(token)", value)[:_MAX_TEXT]
