"""Opens a bucket with the credentials of the environment."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.location import Location

# A dead or throttling store fails a request after about a minute. A stream that says nothing for
# half a minute is opened again, and also one that takes longer than ten minutes.
_RETRIES: dict[str, Any] = {
    "max_retries": 8,
    "retry_timeout": dt.timedelta(seconds=60),
    "backoff": {
        "init_backoff": dt.timedelta(milliseconds=100),
        "max_backoff": dt.timedelta(seconds=8),
        "base": 2,
    },
}
_TIMEOUTS = {"connect_timeout": "10s", "read_timeout": "30s", "timeout": "10min"}


def connect(location: Location, endpoint: str | None = None) -> Bucket:
    """Open a bucket; makes no request.

    Args:
        location: Of the bucket.
        endpoint: URL of a server other than the cloud's own, from EXPORTER_OUTPUT_ENDPOINT.

    Raises:
        ConfigurationError: the endpoint is not a URL, or the environment is incomplete.
    """
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore, S3Store

    options: dict[str, Any] = {
        "prefix": location.prefix or None,
        "client_options": {**_TIMEOUTS, "allow_http": _is_http(endpoint)},
        "retry_config": _RETRIES,
    }
    kind: Any = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[location.scheme]
    if endpoint:
        options["base_url" if location.scheme == "gs" else "endpoint"] = endpoint.rstrip("/")
    problem = None
    try:
        return Bucket(location, kind(location.bucket, **options))
    except (BaseError, ValueError) as error:
        problem = type(error).__name__
    # Not in the `except` block: the original error may have a credential, and would be its context.
    raise ConfigurationError(
        f"{location.uri()} cannot be opened: its settings in the environment are incomplete or "
        f"wrong ({problem}).",
        "See docs/object-stores.md for the variables of each cloud.",
    )


def _is_http(endpoint: str | None) -> bool:
    if endpoint is None:
        return False
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            "EXPORTER_OUTPUT_ENDPOINT is not the URL of a server.",
            "Write it as https://host or http://host:port, without user and password.",
        )
    return parts.scheme == "http"
