"""Turns a reference such as `docs/quality.md` in a text into a link to the service.

The service shows each page of docs/ at `/docs/<page>`. If the address of the service is not known,
texts keep the path of the file, which a reader of the repository can open.
"""

from __future__ import annotations

import re

from exporter_pipelines import settings

_REFERENCE = re.compile(r"(?<![\w/.-])docs/((?:decisions/)?[\w-]+)\.md(#[\w-]+)?")


def linked(text: str) -> str:
    """The text with the address of each page; Markdown and most receivers of alerts link it."""
    service = settings.service_url()
    if service is None:
        return text
    return _REFERENCE.sub(lambda match: f"{service}/docs/{match[1]}{match[2] or ''}", text)
