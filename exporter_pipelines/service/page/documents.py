"""Markdown as HTML: the pages of docs/ and the dataset cards.

HTML in Markdown is shown as text. Headings have the ids that GitHub gives them, so links that work
in the repository work here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

import exporter_pipelines

_PACKAGE = Path(exporter_pipelines.__file__).parent
_PLACES = (_PACKAGE / "docs", _PACKAGE.parent / "docs")
"""In an installed package, and in a clone of the repository."""
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENTS = re.compile(r"^ *<!--.*?-->\n", re.DOTALL | re.MULTILINE)
_NOT_IN_IDS = re.compile(r"[^\w -]")
INDEX, CHANGELOG = "README", "changelog"


@cache
def pages() -> dict[str, Path]:
    """Name as in an address -> file: `quality`, `decisions/0021-ledger`."""
    folder = next((place for place in _PLACES if (place / f"{INDEX}.md").is_file()), None)
    if folder is None:
        return {}
    files = sorted([*folder.glob("*.md"), *folder.glob("decisions/*.md")])
    found = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
    changelog = folder.parent / "CHANGELOG.md"
    return {**found, CHANGELOG: changelog} if changelog.is_file() else found


@cache
def rendered(file: Path) -> tuple[str, Markup]:
    """The title and the body of a page of docs/; each is rendered once."""
    return html_of(_COMMENTS.sub("", file.read_text(encoding="utf-8")))


def html_of(markdown: str) -> tuple[str, Markup]:
    """The title, which is the first heading, and the body."""
    text = _FRONT_MATTER.sub("", markdown)
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    ids: Counter[str] = Counter()
    title = ""
    for token, inner in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and inner is not None:
            title = title or _text(inner)
            token.attrSet("id", _id(_text(inner), ids))
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _target(str(child.attrGet("href") or "")))
    body: str = parser.renderer.render(tokens, parser.options, {})
    # Wide tables and lines scroll on their own; a keyboard reaches what scrolls.
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    return title, Markup(body)  # noqa: S704 - the parser escapes HTML


def _text(heading: Token) -> str:
    children: Sequence[Token] = heading.children or ()
    return "".join(child.content for child in children if child.type in ("text", "code_inline"))


def _id(heading: str, seen: Counter[str]) -> str:
    """As GitHub makes it; the second heading of a name ends in `-1`."""
    name = _NOT_IN_IDS.sub("", heading.lower()).replace(" ", "-")
    number = seen[name]
    seen[name] += 1
    return f"{name}-{number}" if number else name


def _target(href: str) -> str:
    """A link between files as a link between addresses."""
    path, sharp, anchor = href.partition("#")
    if "://" in path or not path.endswith(".md"):
        return href
    # The changelog is not in docs/, so its links begin with it.
    name = path.removeprefix("docs/").removesuffix(".md")
    name = CHANGELOG if name == "../CHANGELOG" else name
    return f"{name}{sharp}{anchor}"
