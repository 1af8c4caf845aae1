"""An HTML page as a test reads it: its tables and key figures as text."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page says.

    Attributes:
        tables: id -> rows of cells, the head first.
        figures: Name of a key figure -> what stands below it.
        tags: Every element in the page, each once.
        elements: Every element with its attributes, in order.
        unclosed: Elements that are still open at the end.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.figures: dict[str, str] = {}
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.unclosed: list[str] = []
        self._rows: list[list[str]] = []
        self._name = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.unclosed.append(tag)
        match tag:
            case "table":
                self._rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
            case "tr":
                self._rows.append([])
            case "td" | "th":
                self._rows[-1].append("")
            case "dt":
                self._name = ""
            case "dd":
                self.figures[self._name.strip()] = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if "style" in self.unclosed:
            return
        self.text += data
        if "td" in self.unclosed or "th" in self.unclosed:
            self._rows[-1][-1] = " ".join(f"{self._rows[-1][-1]} {data}".split())
        elif "dt" in self.unclosed:
            self._name += data
        elif "dd" in self.unclosed:
            self.figures[self._name] = f"{self.figures[self._name]} {data}".strip()
