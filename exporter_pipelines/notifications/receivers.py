"""Who is told: the URLs of EXPORTER_ALERT_URLS, through Apprise.

https://github.com/caronc/apprise/wiki

A URL holds secrets in any of its parts (of Slack's, the host is one), and Apprise writes parts of
it into its log. So a receiver is called by its position and service alone, and of what Apprise
says only the HTTP status is passed on.
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
"""A receiver that has not answered by then counts as down; Apprise's own limits are shorter."""

_statuses: ContextVar[list[str] | None] = ContextVar("statuses", default=None)
_STATUS = re.compile(r"error=(\d{3})\b")


@dataclass(frozen=True)
class Receiver:
    """One URL.

    Attributes:
        id: Tells receivers apart in stored state without saying anything of their URL.
        label: For people.
        service: Apprise's object; None for a URL that Apprise cannot read.
    """

    id: str
    label: str
    service: Any | None

    @property
    def usable(self) -> bool:
        """Whether anything can be sent to it."""
        return self.service is not None

    def send(self, message: Message) -> str | None:
        """Send one message, within seconds.

        Returns:
            None when it was taken, otherwise why not, without anything of the URL.
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
            # Its text may quote the URL.
            return f"failed with {type(error).__name__}"
        if taken:
            return None
        if statuses:
            return f"answered with HTTP status {statuses[-1]}"
        return "did not take the message, or could not be reached"


class _Swallow(logging.Filter):
    """Keeps what Apprise logs from every log, for it quotes URLs, and reads the HTTP status."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let nothing pass."""
        found = _STATUS.search(record.getMessage())
        # Apprise works in threads of its own and takes the context along.
        if found and (statuses := _statuses.get()) is not None:
            statuses.append(found[1])
        return False


_swallow = _Swallow()


def open_receivers(urls: list[str]) -> list[Receiver]:
    """The receivers behind the URLs; no connection is made. The same URL twice is one.

    Raises:
        MissingExtraError: there are URLs, and Apprise is not installed.
    """
    if not urls:
        return []  # without receivers, nobody pays for the import
    require("alerts")
    from apprise import Apprise, AppriseAsset

    logger = logging.getLogger("apprise")
    logger.addFilter(_swallow)  # a second time, it is not added
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
        What `Receiver.send` returned, for each; one that hangs is left behind.
    """
    outcomes: dict[Receiver, str | None] = {}

    def send(receiver: Receiver, message: Message) -> None:
        outcomes[receiver] = receiver.send(message)

    # Not a pool: its threads would keep the process from ending while a receiver hangs.
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
