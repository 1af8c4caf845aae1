"""The heartbeat: a GET request to an external monitor, which sends an alert when it stops."""

from __future__ import annotations

_TIMEOUT_S = 10


def send_heartbeat(url: str) -> str | None:
    """Send one GET request.

    Returns:
        None on success, otherwise the problem without any part of the URL.
    """
    import requests  # Dagster needs it too, so it is installed without the extra `alerts`

    try:
        status = requests.get(url, timeout=_TIMEOUT_S).status_code
    except requests.RequestException as error:
        return f"The heartbeat failed with {type(error).__name__}"
    return None if status < 400 else f"The heartbeat was answered with HTTP status {status}"
