"""A sign of life to an outside watcher, who raises the alarm when it stops."""

from __future__ import annotations

_TIMEOUT_S = 10


def beat(url: str) -> str | None:
    """Ask for a URL once.

    Returns:
        None when it was answered with success, otherwise why not, without anything of the URL.
    """
    import requests  # Dagster needs it too, so it is installed without the extra `alerts`

    try:
        status = requests.get(url, timeout=_TIMEOUT_S).status_code
    except requests.RequestException as error:
        return f"the heartbeat failed with {type(error).__name__}"
    return None if status < 400 else f"the heartbeat was answered with HTTP status {status}"
