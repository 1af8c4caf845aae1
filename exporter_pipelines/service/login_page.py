"""The page on which somebody logs in with a token or through an OpenID provider."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

_FOLDER = Path(__file__).parent / "page"
_TEMPLATES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=select_autoescape())
POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def login_page(*, prefix: str, next_path: str, problem: str, provider: bool, nonce: str) -> str:
    """The page as HTML, with its style in it: nothing else is served to somebody unknown."""
    style = (_FOLDER / "service.css").read_text()
    return _TEMPLATES.get_template("login.html").render(
        prefix=prefix, next=next_path, problem=problem, provider=provider, nonce=nonce, style=style
    )
