r"""The text of JSON documents, so that strings can be searched as if they were plain text.

Escapes such as `\n` and `\"` become single control characters, which valid JSON never contains
itself. So a word begins after them, and no string contains a quotation mark. Afterwards the escapes
are put back. Nothing is parsed, so numbers, spaces and the order of keys stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.contracts.privacy import REDACTED, KeyAction
from exporter_pipelines.privacy.signs import rows_with, with_rows
from exporter_pipelines.privacy.spans import all_bytes, bytes_of, strings

ESCAPES = {
    "\\\\": "\x10", "\\n": "\x11", "\\t": "\x12", "\\r": "\x13", '\\"': "\x14", "\\/": "\x15",
    "\\b": "\x16", "\\f": "\x17",
}  # fmt: skip
"""Escape in JSON -> the character that stands for it meanwhile. The first one comes first."""

_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)

_ESCAPED = re.compile(r"[\\\x10-\x17]")

Mask = Callable[[KeyAction, str], str]
"""Receives the action of a key and a value below it; returns the text to write instead."""


def opened(texts: pl.Series) -> pl.Series:
    """The documents with characters in place of escapes."""
    if not texts.str.contains("\\", literal=True).any():
        return texts
    for escape, sign in ESCAPES.items():
        texts = texts.str.replace_all(escape, sign, literal=True)
    return texts


def closed(texts: pl.Series) -> pl.Series:
    """The documents with their escapes again; reverses `opened`."""
    if not texts.str.contains("[\x10-\x17]").any():
        return texts
    for escape, sign in reversed(ESCAPES.items()):
        texts = texts.str.replace_all(sign, escape.replace("$", "$$"), literal=True)
    return texts


def _closed_text(text: str) -> str:
    for escape, sign in reversed(ESCAPES.items()):
        text = text.replace(sign, escape)
    return text


class KeyRules:
    """Replaces values by the names of their keys.

    Args:
        keys: Key -> action, as in a policy.

    Attributes:
        pattern: Matches a key and a value that is no object or array, in an opened document; for
            Python and for Rust.
        remembered: Match -> its action, its pseudonym, and what is written instead; filled by the
            scanner.
    """

    def __init__(self, keys: Mapping[str, KeyAction]) -> None:
        self._actions = {key.casefold(): action for key, action in keys.items()}
        names = "|".join(re.escape(json.dumps(key, ensure_ascii=False)[1:-1]) for key in keys)
        number = r"-?[0-9][0-9eE.+-]*"
        self.pattern = rf'"(?i:{names})"\s*:\s*(?:"[^"]*"|{number}|true|false)'
        self.remembered: dict[str, tuple[KeyAction, str, str]] = {}
        self._container = rf'"(?i:{names})"\s*:\s*[\[{{]'

    def value(self, found: str) -> tuple[KeyAction, str]:
        """The action and the value in a match of `pattern`."""
        key, _, written = _split(found)
        value = _text_of(written) if written.startswith('"') else written
        return self._action(key), value

    def _action(self, key: str) -> KeyAction:
        # Rust folds some letters that Python does not.
        return self._actions.get(key.casefold(), "redact")

    @staticmethod
    def replaced(found: str, text: str) -> str:
        """A match of `pattern`, with another text as its value."""
        _, before, _ = _split(found)
        return before + json.dumps(text, ensure_ascii=False)

    def without_containers(
        self, texts: pa.Array, sign: str, mask: Mask
    ) -> tuple[pa.Array, list[str]]:
        """Documents, not opened, with a sign in place of objects and arrays under these keys.

        Returns:
            The documents, and the masked objects and arrays in their order.
        """
        masked: list[str] = []
        if not _may_be_nested(texts):
            return texts, masked
        rows = rows_with(texts, self._container)
        if not len(rows):
            return texts, masked
        some = texts.take(pa.array(rows)).to_pylist()
        cut = [self._cut(text, sign, mask, masked) for text in some]
        return with_rows(texts, rows, strings(cut)), masked

    def _cut(self, text: str, sign: str, mask: Mask, masked: list[str]) -> str:
        pieces, position = [], 0
        for match in re.finditer(self._container, text):
            if match.start() < position:  # inside one that was cut out
                continue
            start = match.end() - 1
            key, _, _ = _split(match[0])
            action = self._action(key)
            end = _end_of(text, start)
            try:
                value = _masked(json.loads(text[start:end]), action, mask)
                masked.append(json.dumps(value, ensure_ascii=False))
            except (ValueError, RecursionError):  # text that only begins like JSON, or is deep
                masked.append(json.dumps(REDACTED))
            pieces += [text[position:start], sign]
            position = end
        return "".join([*pieces, text[position:]])


def _may_be_nested(texts: pa.Array) -> bool:
    """Whether a text has a bracket that opens, after its first character."""
    data, offsets = bytes_of(texts)
    first = data[offsets[:-1][offsets[1:] > offsets[:-1]]]
    return any(
        np.count_nonzero(all_bytes(texts) == ord(sign)) > np.count_nonzero(first == ord(sign))
        for sign in "[{"
    )


def _end_of(text: str, start: int) -> int:
    """Where the object or array ends that begins at `start`; the end of the text if it does not."""
    depth = 0
    for token in _BRACKETS.finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(text)


def _split(found: str) -> tuple[str, str, str]:
    """The key, everything before the value, and the value as written."""
    end = found.index('"', 1)
    start = found.index(":", end) + 1
    start += len(found[start:]) - len(found[start:].lstrip())
    return _text_of(found[: end + 1]), found[:start], found[start:]


def _text_of(written: str) -> str:
    """The value of a string; in text that only looks like JSON, what is between the quotes."""
    if not _ESCAPED.search(written):
        return written.strip('"')
    try:
        return str(json.loads(_closed_text(written), strict=False))
    except ValueError:
        return written.strip('"')


def _masked(value: Any, action: KeyAction, mask: Mask) -> Any:
    """A value with its scalars replaced; the keys of objects stay."""
    if isinstance(value, dict):
        return {key: _masked(each, action, mask) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, action, mask) for each in value]
    if value is None:
        return None
    return mask(action, value if isinstance(value, str) else json.dumps(value))
