"""Reads JSONB, the binary form of JSON that SQLite 3.45 and later store as a blob.

SQLite's own function `json()` would read it, but the library of this Python may be older. The
result is the text that `json()` gives.

https://sqlite.org/jsonb.html
"""

from __future__ import annotations

import json
import re

MAX_DEPTH = 900
"""Deeper documents are refused; Python allows about 1,000 nested calls."""

_NULL, _TRUE, _FALSE, _INT, _INT5, _FLOAT, _FLOAT5 = range(7)
_TEXT, _TEXTJ, _TEXT5, _TEXTRAW, _ARRAY, _OBJECT = range(7, 13)
_WORDS = {_NULL: "null", _TRUE: "true", _FALSE: "false"}
_SIZE_BYTES = {12: 1, 13: 2, 14: 4, 15: 8}
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]+)")
_LOOSE_NUMBER = re.compile(rb"[+]?(-?)([0-9]*)[.]?([0-9]*)((?:[eE][+-]?[0-9]+)?)")
# An escape of JSON5, or a character that JSON must escape.
_JSON5 = re.compile(r"\\(?:(u[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|\r\n|(.))|[\"\x00-\x1f]", re.DOTALL)
_LINE_BREAKS = "\n\r\u2028\u2029"
_SHORT = {"v": "\\u000b", "0": "\\u0000", "'": "'"}


def json_of(blob: bytes) -> str:
    """The JSON text of a JSONB blob.

    Raises:
        ValueError: it is not JSONB, or it is nested too deeply.
    """
    text, end = _element(blob, 0, len(blob), 0)
    if end != len(blob):
        raise ValueError("more than one element")
    return text


def _element(blob: bytes, start: int, limit: int, depth: int) -> tuple[str, int]:
    """The text of the element at `start`, and where it ends."""
    kind, begin, end = _header(blob, start, limit)
    payload = blob[begin:end] if kind < _ARRAY else b""
    if kind in _WORDS:
        if begin != end:
            raise ValueError("a word has a payload")
        return _WORDS[kind], end
    if kind <= _FLOAT5:
        return _number(kind, payload), end
    if kind <= _TEXTRAW:
        return _string(kind, payload), end
    if kind > _OBJECT or depth == MAX_DEPTH:
        raise ValueError("a reserved type, or too many levels")
    parts = []
    while begin < end:
        text, begin = _element(blob, begin, end, depth + 1)
        parts.append(text)
    if kind == _ARRAY:
        return f"[{','.join(parts)}]", end
    if len(parts) % 2 or not all(key.startswith('"') for key in parts[::2]):
        raise ValueError("a key is not text, or lacks a value")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return f"{{{','.join(f'{key}:{value}' for key, value in pairs)}}}", end


def _header(blob: bytes, start: int, limit: int) -> tuple[int, int, int]:
    """Type of an element, and where its payload begins and ends."""
    if start >= limit:
        raise ValueError("an element is missing")
    kind, size = blob[start] & 0x0F, blob[start] >> 4
    begin = start + 1
    if size in _SIZE_BYTES:
        size_bytes = _SIZE_BYTES[size]
        size = int.from_bytes(blob[begin : begin + size_bytes], "big")
        begin += size_bytes
    if begin + size > limit:
        raise ValueError("an element is cut off")
    return kind, begin, begin + size


def _number(kind: int, payload: bytes) -> str:
    if kind == _INT5 and (found := _HEXADECIMAL.fullmatch(payload)):
        return f"{'-' if found[1] == b'-' else ''}{int(found[2], 16)}"
    pattern = _INTEGER if kind == _INT else _NUMBER
    if pattern.fullmatch(payload):
        return payload.decode()
    loose = _LOOSE_NUMBER.fullmatch(payload) if kind in (_INT5, _FLOAT5) else None
    if not loose or not (loose[2] or loose[3]):
        raise ValueError("not a number")
    sign, whole, fraction, exponent = (part.decode() for part in loose.groups())
    point = "" if kind == _INT5 else f".{fraction or '0'}"
    return f"{sign}{whole.lstrip('0') or '0'}{point}{exponent}"


def _string(kind: int, payload: bytes) -> str:
    text = payload.decode()  # UnicodeDecodeError is a ValueError
    if kind in (_TEXT, _TEXTRAW):
        return json.dumps(text, ensure_ascii=False)
    escaped = f'"{text if kind == _TEXTJ else _JSON5.sub(_as_json, text)}"'
    json.loads(escaped)
    return escaped


def _as_json(match: re.Match[str]) -> str:
    """A part of a JSON5 string as JSON writes it."""
    unicode, byte, character = match.groups()
    if unicode:
        return match[0]
    if byte:
        return f"\\u00{byte}"
    if character is None:
        return "" if match[0][0] == "\\" else json.dumps(match[0])[1:-1]
    if character in _LINE_BREAKS:
        return ""
    if character in '"\\/bfnrt':
        return match[0]
    return _SHORT.get(character, character)
