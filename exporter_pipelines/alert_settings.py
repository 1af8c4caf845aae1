"""Settings of alerts, and their checks.

Belongs here: `EXPORTER_ALERT_*`. All others, and how variables are read, are in `settings`.
"""

from __future__ import annotations

import re

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError


def alert_urls() -> list[str]:
    """`EXPORTER_ALERT_URLS`: Apprise URLs of the receivers of alerts; each is a secret."""
    value = settings.text("EXPORTER_ALERT_URLS")
    # A comma may also be part of a URL; between two of them a scheme follows it.
    return [url for url in re.split(r"\s+|,+\s*(?=[A-Za-z][\w+.-]*://)", value) if url.strip(",")]


def alert_heartbeat_url() -> str | None:
    """`EXPORTER_ALERT_HEARTBEAT_URL`: pinged at each tick while alerting is healthy; a secret."""
    value = settings.text("EXPORTER_ALERT_HEARTBEAT_URL")
    if value and not value.startswith(("http://", "https://")):
        raise ConfigurationError(
            "EXPORTER_ALERT_HEARTBEAT_URL does not begin with http:// or https://.",
            "Its value is not shown, since it may be a secret.",
        )
    return value or None


def alert_rejected_pct() -> float | None:
    """`EXPORTER_ALERT_REJECTED_PCT`: percent; None for each dataset's own `max_rejected_pct`."""
    value = settings.text("EXPORTER_ALERT_REJECTED_PCT")
    return settings.number("EXPORTER_ALERT_REJECTED_PCT", value) if value else None


def alert_slow_factor() -> float:
    """`EXPORTER_ALERT_SLOW_FACTOR`: an export is slow above this multiple of the usual row time."""
    value = settings.text("EXPORTER_ALERT_SLOW_FACTOR") or "3"
    return settings.number("EXPORTER_ALERT_SLOW_FACTOR", value)


def alert_slow_min_seconds() -> float:
    """`EXPORTER_ALERT_SLOW_MIN_SECONDS`: faster exports are never reported as slow."""
    value = settings.text("EXPORTER_ALERT_SLOW_MIN_SECONDS") or "60"
    return settings.number("EXPORTER_ALERT_SLOW_MIN_SECONDS", value)


def alert_missing_after_minutes() -> float:
    """`EXPORTER_ALERT_MISSING_AFTER_MINUTES`: after a schedule's tick, its day is then missing."""
    value = settings.text("EXPORTER_ALERT_MISSING_AFTER_MINUTES") or "120"
    return settings.number("EXPORTER_ALERT_MISSING_AFTER_MINUTES", value)


def alert_min_free_gib() -> float:
    """`EXPORTER_ALERT_MIN_FREE_GIB`: alert when the output folder has less free space."""
    value = settings.text("EXPORTER_ALERT_MIN_FREE_GIB") or "5"
    return settings.number("EXPORTER_ALERT_MIN_FREE_GIB", value)
