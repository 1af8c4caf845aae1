"""Numbers, times and messages as the pages show them."""

from __future__ import annotations

import datetime as dt
import re

from markupsafe import Markup, escape

from exporter_pipelines.reporting.page import count, moment, percent, seconds, size
from exporter_pipelines.service.page.documents import pages

__all__ = ["count", "isodate", "moment", "percent", "seconds", "size", "with_links"]

_DOCS = re.compile(
    r"(?:https?://[^\s/]+(?:/[\w.-]+)*/docs/|(?<![\w/.-])docs/)"
    r"((?:decisions/)?[\w-]+)(?:\.md)?(#[\w-]+)?"
)


def isodate(value: dt.datetime | None) -> str:
    """For the attribute `datetime` of `<time>`."""
    return value.isoformat() if value else ""


def with_links(text: str, docs: str) -> Markup:
    """A message, escaped, in which references to docs/ are links.

    Args:
        text: As a run recorded it: with `docs/quality.md`, or with an address of the service.
        docs: Where the service shows the documentation, with a slash at its end.
    """
    parts, end = Markup(), 0
    for found in _DOCS.finditer(text):
        page, anchor = found[1], found[2] or ""
        if page not in pages():  # the documentation of something else
            continue
        link = Markup('<a href="{}{}{}">docs/{}.md{}</a>').format(docs, page, anchor, page, anchor)
        parts += escape(text[end : found.start()]) + link
        end = found.end()
    return parts + escape(text[end:])
