r"""Text as a reader sees it: without `%40` and `\u0040`, which may hide an identifier.

A JSON string must not get a quotation mark, a backslash or a control character. In documents,
characters of a private range of Unicode stand for these, until `restored` writes them as escapes
again.
"""

from __future__ import annotations

import re

HIDING = r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}"
"""What a text has that may hide an identifier; for Python and for Rust."""
HIDING_IN_TEXT = HIDING + r"|\\[nrt]"
"""The same for text that is not JSON, where a JSON document may be quoted."""

_ROUNDS = 3
"""How often text is decoded: `%2540` is `%40` encoded again."""

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BACKSLASH = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([nrt])|(.))", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_PRIVATE = range(0xE000, 0xF800, 0x100)
"""Begins of private ranges: 128 characters for `\\u00..`, and 128 for `%..`."""


def unescaped(text: str) -> str:
    """A text that is no JSON, without escapes; those of control characters become U+FFFD."""
    for _ in range(_ROUNDS):
        before = text
        text = _PERCENT.sub(lambda match: _CONTROL.sub("\ufffd", _decoded(match[0])), text)
        text = _BACKSLASH.sub(_character, text)
        text = _without_surrogates(text)
        if text == before:
            break
    return text


def unescaped_json(document: str) -> tuple[str, int]:
    """A document without escapes in its strings, and what `restored` needs."""
    base = next((b for b in _PRIVATE if not _has_private(document, b)), _PRIVATE[0])
    text = document
    for _ in range(_ROUNDS):
        before = text
        text = _PERCENT.sub(lambda match: _safe(_decoded(match[0]), base + 0x80), text)
        text = _BACKSLASH.sub(lambda match: _character_in_json(match, base), text)
        text = _without_surrogates(text)
        if text == before:
            break
    return text, base


def restored(document: str, base: int) -> str:
    """A document in which private characters are escapes again."""
    if not _has_private(document, base):
        return document
    return "".join(
        sign
        if not base <= ord(sign) < base + 0x100
        else f"\\u00{ord(sign) - base:02x}"
        if ord(sign) < base + 0x80
        else f"%{ord(sign) - base - 0x80:02X}"
        for sign in document
    )


def _has_private(text: str, base: int) -> bool:
    return not text.isascii() and re.search(f"[{chr(base)}-{chr(base + 0xFF)}]", text) is not None


def _decoded(escapes: str) -> str:
    """Percent escapes as text; bytes that are no UTF-8 stay."""
    try:
        return bytes.fromhex(escapes.replace("%", "")).decode()
    except UnicodeDecodeError:
        return "".join(
            chr(int(part, 16)) if int(part, 16) < 0x80 else f"%{part}"
            for part in escapes.split("%")[1:]
        )


def _safe(decoded: str, base: int) -> str:
    """Characters that a JSON string may have."""
    return "".join(
        chr(base + ord(sign)) if sign < " " or sign in '"\\\x7f' else sign for sign in decoded
    )


def _character(match: re.Match[str]) -> str:
    if code := match[1] or match[2]:
        return _CONTROL.sub("\ufffd", chr(int(code, 16)))
    if match[3]:
        return {"n": "\n", "r": "\r", "t": "\t"}[match[3]]
    return match[0]


def _character_in_json(match: re.Match[str], base: int) -> str:
    return _safe(chr(int(match[1], 16)), base) if match[1] else match[0]


def _without_surrogates(text: str) -> str:
    r"""Pairs such as `\ud83d\ude00` as one character; halves stay escaped."""
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return "".join(
        f"\\u{ord(sign):04x}" if "\ud800" <= sign <= "\udfff" else sign for sign in whole
    )
