"""A page of the service as a test reads it, with a check of what assistive technology needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

_VOID = {"meta", "link", "br", "img", "input", "hr"}
_FIELDS = {"input", "select", "textarea"}
_LANDMARKS = {"section", "nav", "article"}


@dataclass
class Element:
    """An element with all text below it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[Element, ...] = ()
    text: str = ""
    children: list[Element] = field(default_factory=list)


class WebPage(HTMLParser):
    """What a page says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[Element] = []
        self._open: list[Element] = []
        self._mistakes: list[str] = []
        self.feed(html)
        self._mistakes += [f"<{each.tag}> is not closed" for each in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.all.append(element)
        if self._open:
            self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.all.append(Element(tag, {k: v or "" for k, v in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if not self._open or self._open[-1].tag != tag:
            self._mistakes.append(f"</{tag}> closes nothing")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        for element in self._open:
            element.text += data

    def elements(self, *wanted: str) -> list[Element]:
        """Elements of a tag; `link[rel=style` are style sheets."""
        return [
            each
            for each in self.all
            if each.tag in wanted
            or ("link[rel=style" in wanted and each.attributes.get("rel") == "stylesheet")
        ]

    @property
    def text(self) -> str:
        """All text, with single spaces."""
        return " ".join(self.elements("body")[0].text.split())

    @property
    def heading(self) -> str:
        """The first heading."""
        return " ".join(self.elements("h1")[0].text.split())

    @property
    def links(self) -> set[str]:
        """Where links lead."""
        return {each.attributes["href"] for each in self.elements("a") if "href" in each.attributes}

    @property
    def buttons(self) -> list[Element]:
        """Buttons, without the one that logs out."""
        return self.elements("button")

    @property
    def checked(self) -> set[str]:
        """Values of checked boxes."""
        return {e.attributes["value"] for e in self.elements("input") if "checked" in e.attributes}

    @property
    def values(self) -> dict[str, str]:
        """Name of a field -> its value."""
        return {
            each.attributes.get("name", ""): each.attributes.get("value", "")
            for each in self.elements("input")
        }

    def text_of(self, id_: str) -> str:
        """The text of an element."""
        return next(e.text for e in self.all if e.attributes.get("id") == id_)

    def rows(self, id_: str) -> list[list[str]]:
        """Cells of the rows of the tables in an element."""
        rows = []
        for row in self.elements("tr"):
            if any(parent.attributes.get("id") == id_ for parent in row.parents):
                rows.append([" ".join(cell.text.split()) for cell in row.children])
        return rows

    def inline_styles_and_handlers(self) -> list[str]:
        """What a strict Content-Security-Policy refuses."""
        found = [
            f"{each.tag} {name}"
            for each in self.all
            for name in each.attributes
            if name == "style" or name.startswith("on")
        ]
        inline = [e.tag for e in self.elements("script") if "src" not in e.attributes]
        return found + inline + [each.tag for each in self.elements("style")]

    def problems(self) -> list[str]:
        """What keeps somebody from using the page with a keyboard or a screen reader."""
        found = list(self._mistakes)
        ids = [each.attributes["id"] for each in self.all if "id" in each.attributes]
        found += [f"id {id_} is not unique" for id_ in {i for i in ids if ids.count(i) > 1}]
        for each in self.all:
            for name in ("aria-labelledby", "aria-describedby", "for"):
                for id_ in each.attributes.get(name, "").split():
                    if id_ not in ids:
                        found.append(f"{each.tag}: {name}={id_} names nothing")
        found += [f"<{each.tag}> has no name: {each.attributes}" for each in self._unnamed()]
        if self.all[0].attributes.get("lang") != "en":
            found.append("the page has no language")
        if len(self.elements("h1")) != 1:
            found.append("the page has not one main heading")
        found += [
            "a table head has no scope"
            for e in self.elements("th")
            if not e.attributes.get("scope")
        ]
        levels = [int(each.tag[1]) for each in self.elements("h1", "h2", "h3", "h4", "h5")]
        for before, after in pairwise(levels):
            if after > before + 1:
                found.append(f"a heading of level {after} follows one of level {before}")
        return found

    def _unnamed(self) -> list[Element]:
        labelled = {each.attributes.get("for") for each in self.elements("label")}
        unnamed = []
        for each in self.all:
            name = each.attributes.get("aria-label") or each.attributes.get("aria-labelledby")
            if each.tag in ("a", "button", "summary", "label", "legend", "h1", "h2", "h3", "h4"):
                name = name or each.text.strip()
            elif each.tag in _FIELDS and each.attributes.get("type") not in ("hidden", "submit"):
                in_label = any(parent.tag == "label" for parent in each.parents)
                name = name or in_label or each.attributes.get("id") in labelled
            elif each.tag not in (*_LANDMARKS, "progress", "svg"):
                continue
            if not name:
                unnamed.append(each)
        return unnamed
