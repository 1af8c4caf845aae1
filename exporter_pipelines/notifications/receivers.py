"""Receivers of alerts: the URLs of EXPORTER_ALERT_URLS, sent through Apprise.

https://github.com/caronc/apprise/wiki

Any part of a URL may be secret (in a Slack URL even the host), and Apprise logs parts of it. So a
receiver is named by its position and service only, and of Apprise's log only the HTTP status is
used.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from exporter_pipelines.extras import require
from exporter_pipelines.notifications.message import Message

SEND_TIMEOUT_S = 20.0
"""A receiver that has not answered after this time counts as down."""

_statuses: ContextVar[list[str] | None] = ContextVar("statuses", default=None)
_STATUS = re.compile(r"error=(\d{3})\b")


@dataclass(frozen=True)
class Receiver:
    """One URL.

    Attributes:
        id: Identifies the receiver in stored state without any part of its URL.
        label: Position and service, for people.
        service: Apprise's object; None for an invalid URL.
    """

    id: str
    label: str
    service: Any | None

    @property
    def usable(self) -> bool:
        """Whether its URL is valid."""
        return self.service is not None

    def send(self, message: Message) -> str | None:
        """Send one message, within seconds.

        Returns:
            None on success, otherwise the problem without any part of the URL.
        """
        from apprise import Apprise, NotifyFormat

        container, statuses = Apprise(), list[str]()
        _statuses.set(statuses)
        try:
            container.add(self.service or [])
            taken = container.notify(
                title=message.title,
                body=message.body,
                notify_type=message.level,
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:
            # Any exception of a plugin: the receiver is down, and its text may quote the URL.
            return f"failed with {type(error).__name__}"
        if taken:
            return None
        if statuses:
            return f"answered with HTTP status {statuses[-1]}"
        return "rejected the message or could not be reached"


class _StatusFilter(logging.Filter):
    """Drops all log records of Apprise, because they quote URLs, after reading the HTTP status."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the record."""
        found = _STATUS.search(record.getMessage())
        # Apprise sends in its own threads, which inherit the context.
        if found and (statuses := _statuses.get()) is not None:
            statuses.append(found[1])
        return False


_status_filter = _StatusFilter()


def open_receivers(urls: list[str]) -> list[Receiver]:
    """The receivers of the URLs, without connecting to them. Repeated URLs are one receiver.

    Raises:
        MissingExtraError: There are URLs, and Apprise is not installed.
    """
    if not urls:
        return []  # skip the import of Apprise
    require("alerts")
    from apprise import Apprise, AppriseAsset

    logger = logging.getLogger("apprise")
    logger.addFilter(_status_filter)  # added only once
    logger.setLevel(logging.WARNING)
    asset = AppriseAsset(
        app_id="exporter_pipelines", app_desc="Alerts of the exports", async_mode=False
    )
    receivers: dict[str, Receiver] = {}
    for position, url in enumerate(urls, 1):
        service = Apprise.instantiate(url, asset=asset)
        name = f" ({service.service_name})" if service else ""
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        receivers.setdefault(digest, Receiver(digest, f"receiver {position}{name}", service))
    return list(receivers.values())


def send_all(messages: Mapping[Receiver, Message]) -> dict[Receiver, str | None]:
    """Send to several receivers at once.

    Returns:
        The result of `Receiver.send` for each; a receiver that hangs is not waited for.
    """
    outcomes: dict[Receiver, str | None] = {}

    def send(receiver: Receiver, message: Message) -> None:
        outcomes[receiver] = receiver.send(message)

    # Not a thread pool: a hanging receiver would keep the process from ending.
    threads = [
        threading.Thread(target=send, args=pair, daemon=True, name="alert")
        for pair in messages.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SEND_TIMEOUT_S)
    late = f"did not answer within {SEND_TIMEOUT_S:g} s"
    arrived = dict(outcomes)
    return {receiver: arrived.get(receiver, late) for receiver in messages}
