"""How a mistake in a `defs.yaml` is said: the place first, one line, never a URL."""

from __future__ import annotations

import re

from exporter_pipelines.errors import ConfigurationError

URL_HINT = "Write the NAME of an environment variable that holds the URL, never the URL."

_URL = re.compile(r"[A-Za-z][\w+.-]{0,40}:/?/[^\n]*")
"""The length of a scheme is limited: a search for a long one takes time with its square."""

_MOST_CHARACTERS = 4000


def mistake_at(place: str, message: str, hint: str = "") -> ConfigurationError:
    """A mistake at `<file>:<line>`.

    A URL that was pasted where it does not belong may hold a password, so it is left out.
    """
    message = " ".join(message.split())
    if len(message) > _MOST_CHARACTERS:
        message = f"{message[:_MOST_CHARACTERS]}..."
    if _URL.search(message):
        message, hint = _URL.sub("(a URL).", message), URL_HINT
    return ConfigurationError(f"{place}: {message}", hint)
