"""The charts of an export report, written again with nothing but what a chart has.

A report is a file of the output folder or bucket, where others may write, too. Its charts are shown
among the forms of the exports page. So no form, link, script or page that somebody put among them
may get there.
"""

from __future__ import annotations

from functools import lru_cache
from html.parser import HTMLParser

from markupsafe import Markup, escape

from exporter_pipelines.reporting.page import charts_of

_ELEMENTS = frozenset({
    "ul", "li", "i", "div", "figure", "h2", "figcaption",
    "svg", "defs", "g", "path", "use", "text", "clippath", "rect", "line", "polyline", "circle",
})  # fmt: skip
_ATTRIBUTES = frozenset({
    "class", "id", "role", "aria-labelledby", "version", "xmlns", "xmlns:xlink", "viewbox", "d",
    "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "points", "width", "height", "transform",
    "clip-path", "clip-rule", "fill", "fill-opacity", "fill-rule", "opacity", "stroke",
    "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "font-size", "font-weight",
    "text-anchor", "href", "xlink:href",
})  # fmt: skip
_LINKS = ("href", "xlink:href")
"""Of `<use>`: only to another part of the same drawing."""


@lru_cache(maxsize=4)
def safe_charts(report: str) -> Markup | None:
    """The charts of a rendered report; None if it has none."""
    found = charts_of(report)
    if found is None:
        return None
    copy = _Copy()
    copy.feed(found)
    copy.close()
    return Markup("".join(copy.parts))  # noqa: S704 - each part is a known name or escaped


class _Copy(HTMLParser):
    """Collects the parts of the copy. Texts are escaped, so the browser reads what this wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Copy a known element with its known attributes."""
        if tag in _ELEMENTS:
            kept = (
                f' {name}="{escape(value or "")}"' for name, value in attrs if _is_ok(name, value)
            )
            self.parts.append(f"<{tag}{''.join(kept)}>")

    def handle_endtag(self, tag: str) -> None:
        """Copy the end of a known element."""
        if tag in _ELEMENTS:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Copy text."""
        self.parts.append(str(escape(data)))


def _is_ok(name: str, value: str | None) -> bool:
    return name in _ATTRIBUTES and (name not in _LINKS or (value or "").startswith("#"))
