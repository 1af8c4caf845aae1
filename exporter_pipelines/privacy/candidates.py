"""Parts of texts that may be identifiers, found by RE2 in many texts at once.

Arrow's compute functions use RE2; the scanner uses Rust's regular expressions. Each candidate gets
a sign before and after it, whose places say where it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.privacy.identifiers import SECRETS
from exporter_pipelines.privacy.spans import Bytes, Positions, bytes_of

_MOST_CONTEXT = 4096
"""Bytes before and after a candidate that may decide whether it is an identifier."""

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
_ONLY_SECRET = f"^(?:{SECRETS})$"
_SIGN, _OTHER_SIGN = 1, 2
"""No identifier has a control character, so one may stand for another."""

_IS_DIGIT = np.zeros(256, bool)
_IS_DIGIT[[*b"0123456789"]] = True
_IS_LETTER = np.zeros(256, bool)
_IS_LETTER[[b for b in range(256) if b >= 128 or chr(b).isalpha()]] = True
_DOT = ord(".")
_IS_PIECE = np.zeros(256, bool)
_IS_PIECE[[b for b in range(256) if b >= 128 or chr(b).isalnum() or chr(b) in "_.:@%+-"]] = True
"""The signs of a piece of text, as in `pieces.PIECES`."""


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
        return self._match(_ONLY_V4)

    def are_secrets(self) -> np.ndarray:
        """Which candidates are secrets."""
        return self._match(_ONLY_SECRET)

    def _match(self, pattern: str) -> np.ndarray:
        distinct = self.texts().dictionary_encode()
        matching = np.asarray(pc.match_substring_regex(distinct.dictionary, pattern), bool)
        chosen: np.ndarray = matching[distinct.indices.to_numpy()]
        return chosen

    def texts(self) -> pa.Array:
        """The candidates as `large_binary`."""
        lengths = self.ends - self.starts
        begins = np.concatenate(([0], np.cumsum(lengths)))
        return _binary(
            begins, self.data[np.arange(begins[-1]) + np.repeat(self.starts - begins[:-1], lengths)]
        )

    def pieces(self) -> Candidates:
        """The pieces of text that the candidates are in, each once and in ascending order.

        What surrounds a candidate decides whether it is an identifier: the scanner examines pieces,
        too.
        """
        starts, ends = self.starts.copy(), self.ends.copy()
        for edges, step, beside in ((starts, -1, -1), (ends, 1, 0)):
            growing = np.arange(len(edges))
            for _ in range(_MOST_CONTEXT):
                signs = self._at(edges[growing] + beside, self.rows[growing])
                growing = growing[_IS_PIECE[signs]]
                if not len(growing):
                    break
                edges[growing] += step
        starts, first = np.unique(starts, return_index=True)
        return self._replace(rows=self.rows[first], starts=starts, ends=ends[first])

    def outside(self, pieces: Candidates) -> Candidates:
        """The candidates that are in none of some pieces."""
        if not len(pieces.starts):
            return self
        before = np.maximum(np.searchsorted(pieces.starts, self.starts, "right") - 1, 0)
        inside = (pieces.starts[before] <= self.starts) & (self.ends <= pieces.ends[before])
        return self.where(~inside)

    def are_alone(self) -> np.ndarray:
        """Which candidates are an IPv4 address, whatever else is in the text.

        The others may be a version, a part of more numbers, or have digits of a word before them:
        the pseudonym `mac-…a1` and `19.2.3.4` are beside each other in `mac-…a119.2.3.4`.
        """
        before, after = self._at(self.starts - 1, self.rows), self._at(self.ends, self.rows)
        more_before = (before == _DOT) & _IS_DIGIT[self._at(self.starts - 2, self.rows)]
        more_after = (after == _DOT) & _IS_DIGIT[self._at(self.ends + 1, self.rows)]
        word_before = _IS_LETTER[before] | _IS_DIGIT[before]
        other = word_before | _IS_DIGIT[after] | more_before | more_after
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


def _binary(offsets: Positions, data: Bytes) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
