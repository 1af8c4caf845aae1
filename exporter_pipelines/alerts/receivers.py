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
from dataclasses import dataclass
from typing import Any

from exporter_pipelines.alerts.message import Message

SEND_TIMEOUT_S = 20.0
"""A receiver that has not answered by then counts as down; Apprise's own limits are shorter."""

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

        container, status = Apprise(), _Status()
        logger = logging.getLogger("apprise")
        logger.addHandler(status)
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
        finally:
            logger.removeHandler(status)
        return None if taken else status.said


class _Status(logging.Handler):
    """Keeps the HTTP status of what Apprise logs in the thread that made it."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self.said = "did not take the message, or could not be reached"

    def emit(self, record: logging.LogRecord) -> None:
        """Read one record; nothing of it is printed."""
        if record.thread == self._thread and (found := _STATUS.search(record.getMessage())):
            self.said = f"answered with HTTP status {found[1]}"


def open_receivers(urls: list[str]) -> list[Receiver]:
    """The receivers behind the URLs; no connection is made. The same URL twice is one."""
    if not urls:
        return []  # without receivers, nobody pays for the import
    from apprise import Apprise, AppriseAsset

    _mute(logging.getLogger("apprise"))
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


def _mute(logger: logging.Logger) -> None:
    """Keep what Apprise logs from every log: it quotes URLs."""
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # or Python prints it itself
