"""Parts of texts that may be identifiers, found by RE2 in many texts at once.

Arrow's compute functions use RE2; the scanner uses Rust's regular expressions. Each candidate gets
a sign before and after it, whose places say where it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.privacy.identifiers import SECRETS, Found, identifiers_in
from exporter_pipelines.privacy.spans import Bytes, Positions, bytes_of

CONTEXT = 4
"""Bytes around a candidate that decide whether it is an identifier."""

_HEX = "[0-9A-Fa-f]"
_GROUPS = rf"{_HEX}{{1,4}}:{_HEX}{{1,4}}:{_HEX}{{1,4}}"
_LETTER = r"\w\x80-\xff"
# Over bytes, where each byte of a character that is not ASCII counts as a letter.
_CANDIDATES = (
    rf"(?:{SECRETS})"
    rf"|[{_LETTER}.+%-]*[{_LETTER}+%]@(?:[{_LETTER}-]+\.)+[{_LETTER}]{{2,}}"
    rf"|[0-9A-Fa-f:.]*(?:::|:{_GROUPS}:)[0-9A-Fa-f:.]*"
    r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
    rf"|(?:{_HEX}{{2}}-){{5}}{_HEX}{{2}}"
    rf"|{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}"
)
_ONLY_V4 = r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$"
_SIGN, _OTHER_SIGN = 1, 2
"""No identifier has a control character, so one may stand for another."""

_IS_DIGIT = np.zeros(256, bool)
_IS_DIGIT[[*b"0123456789"]] = True
_BEFORE_NO_ADDRESS = _IS_DIGIT.copy()
_BEFORE_NO_ADDRESS[[*b"vV"]] = True
_DOT = ord(".")


class Candidates(NamedTuple):
    """Candidates in texts.

    Attributes:
        data, offsets: Of the texts; see `spans.bytes_of`.
        rows: Number of the text of each candidate.
        starts, ends: Positions of each candidate in `data`.
    """

    data: Bytes
    offsets: Positions
    rows: Positions
    starts: Positions
    ends: Positions

    def where(self, which: np.ndarray) -> Candidates:
        """Some of the candidates."""
        rows, starts, ends = self.rows[which], self.starts[which], self.ends[which]
        return self._replace(rows=rows, starts=starts, ends=ends)

    def are_v4(self) -> np.ndarray:
        """Which candidates are four numbers with dots between them."""
        distinct = self.texts().dictionary_encode()
        are_v4 = np.asarray(pc.match_substring_regex(distinct.dictionary, _ONLY_V4), bool)
        chosen: np.ndarray = are_v4[distinct.indices.to_numpy()]
        return chosen

    def texts(self, context: int = 0) -> pa.Array:
        """The candidates with some bytes before and after them, as `large_binary`.

        Zeros stand for bytes before the first and after the last one of a text.
        """
        lengths = self.ends - self.starts + 2 * context
        begins = np.concatenate(([0], np.cumsum(lengths)))
        shift = np.repeat(self.starts - context - begins[:-1], lengths)
        where = np.arange(begins[-1]) + shift
        found = self._at(where, np.repeat(self.rows, lengths)) if context else self.data[where]
        return _binary(begins, found)

    def are_alone(self) -> np.ndarray:
        """Which candidates may be an IPv4 address: no version, and no part of more numbers."""
        before, after = self._at(self.starts - 1, self.rows), self._at(self.ends, self.rows)
        more_before = (before == _DOT) & _IS_DIGIT[self._at(self.starts - 2, self.rows)]
        more_after = (after == _DOT) & _IS_DIGIT[self._at(self.ends + 1, self.rows)]
        other = _BEFORE_NO_ADDRESS[before] | _IS_DIGIT[after] | more_before | more_after
        alone: np.ndarray = ~other
        return alone

    def _at(self, where: Positions, rows: Positions) -> Bytes:
        """Bytes at some positions; 0 for those that are not in these texts."""
        inside = (where >= self.offsets[rows]) & (where < self.offsets[rows + 1])
        return np.where(inside, self.data[np.where(inside, where, 0)], np.uint8(0))


def candidates_in(texts: pa.Array) -> Candidates:
    """The parts of texts that may be identifiers.

    Args:
        texts: A `large_string` array without nulls.
    """
    data, offsets = bytes_of(texts)
    if (data == _SIGN).any():
        data = np.where(data == _SIGN, np.uint8(_OTHER_SIGN), data)
    sign = chr(_SIGN)
    marked = pc.replace_substring_regex(_binary(offsets, data), _CANDIDATES, rf"{sign}\0{sign}")
    signs = np.flatnonzero(bytes_of(marked)[0] == _SIGN)
    edges = signs - np.arange(len(signs)) + offsets[0]
    starts, ends = edges[::2], edges[1::2]
    rows = np.searchsorted(offsets, starts, "right") - 1
    return Candidates(data, offsets, rows, starts, ends)


def identifiers_of(context: bytes) -> list[Found]:
    """The identifiers in a candidate, given what surrounds it."""
    before, text, after = (
        part.decode("utf-8", "replace")
        for part in (context[:CONTEXT], context[CONTEXT:-CONTEXT], context[-CONTEXT:])
    )
    start, end = len(before), len(before) + len(text)
    found = identifiers_in(before + text + after)
    return [each for each in found if each.start < end and each.end > start]


def _binary(offsets: Positions, data: Bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
