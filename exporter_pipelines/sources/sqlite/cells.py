"""Converts one SQLite value to one type, or rejects it.

SQLite stores any type in any column, so each value is checked. The functions take a value (text as
bytes) and whether it is a blob. They raise `RejectedError`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from exporter_pipelines.sources.sqlite.jsonb import json_of

SHOWN_CHARS = 500
"""How much of a rejected value is kept as a reason."""

INT64 = range(-(2**63), 2**63)
_BOOLEANS = {0: False, 1: True, b"false": False, b"true": True}
_LINE_BREAKS = str.maketrans("\n\r\t", "   ")


class RejectedError(ValueError):
    """A value was rejected; `rule` is the reason."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def shown(value: Any) -> str:
    """The beginning of a rejected value, for the quarantine."""
    if isinstance(value, bytes):
        return value[: 4 * SHOWN_CHARS].decode("utf-8", "backslashreplace")[:SHOWN_CHARS]
    return number_text(value)


def number_text(number: int | float) -> str:
    """A number as text, in the notation of PostgreSQL."""
    if isinstance(number, int):
        return str(number)
    special = {"inf": "Infinity", "-inf": "-Infinity"}
    return special.get(repr(number), repr(number))


def integer(value: Any, _is_blob: bool) -> int:
    """A number without a fraction."""
    if isinstance(value, float) and value.is_integer() and int(value) in INT64:
        return int(value)
    if isinstance(value, int):
        return value
    raise RejectedError("not_an_integer")


def boolean(value: Any, _is_blob: bool) -> bool:
    """0, 1, `true` or `false`."""
    known = _BOOLEANS.get(value.lower() if isinstance(value, bytes) else value)
    if known is None:
        raise RejectedError("not_a_boolean")
    return known


def text(value: Any, is_blob: bool) -> str:
    """Text unchanged, a number as its shortest text, a blob as hexadecimal."""
    if not isinstance(value, bytes):
        return number_text(value)
    if is_blob:
        return f"\\x{value.hex()}"
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RejectedError("undecodable_text") from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


# Numbers are not converted: this only checks the syntax, and some are too long for Python.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def document(value: Any, is_blob: bool) -> str:
    """A JSON document on one line, from text or from JSONB.

    Text comes first: SQLite stored JSON as blobs of text before there was JSONB.
    """
    try:
        return _document_of_text(value)
    except RejectedError:
        if not is_blob:
            raise
    try:
        return json_of(value)
    except (ValueError, RecursionError):
        raise RejectedError("invalid_json") from None


def is_document(text: bytes) -> bool:
    """Whether a text is certainly valid JSON; faster than `document`, which judges the others.

    The parser accepts nothing that `document` rejects, but not very deep nesting, for example.
    """
    try:
        from_json(text, allow_inf_nan=False, cache_strings="none")
    except ValueError:
        return False
    return True


def _document_of_text(value: Any) -> str:
    written = number_text(value) if not isinstance(value, bytes) else text(value, is_blob=False)
    try:
        _DECODER.decode(written)
    except (ValueError, RecursionError):
        raise RejectedError("invalid_json") from None
    # In valid JSON, line breaks are white space between tokens, never part of a string.
    return written.strip(" \n\r\t").translate(_LINE_BREAKS)
