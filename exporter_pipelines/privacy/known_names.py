"""Names that a day's own columns hold, looked for in text as whole words."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np
import pyarrow as pa
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from exporter_pipelines.privacy.spans import Positions, bytes_of

SHORTEST = 4
"""Shorter names are part of ordinary text too often."""

ORDINARY_WORDS = frozenset({
    "account", "admin", "administrator", "agent", "anonymous", "backup", "client", "console",
    "cron", "daemon", "database", "default", "device", "email", "error", "example", "false",
    "gateway", "guest", "hash", "host", "info", "local", "localhost", "login", "mail", "manager",
    "monitor", "name", "nobody", "none", "null", "operator", "password", "postgres", "proxy",
    "redacted", "root", "router", "server", "service", "session", "switch", "system", "test",
    "true", "undefined", "unknown", "user", "username", "warning", "worker", "www-data",
})  # fmt: skip
"""Names that are ordinary words; a policy may add to them (`ordinary_words`)."""

_WORD = np.zeros(256, bool)
_WORD[[b for b in range(128) if chr(b).isalnum()]] = True
_LONGEST_CHARACTER = 4


def is_searched(name: str, ordinary: frozenset[str]) -> bool:
    """Whether a name is looked for in text."""
    text = name.strip().lower()
    if any(sign < " " for sign in text):  # they stand for other parts of texts (`signs`)
        return False
    return len(text) >= SHORTEST and not _is_a_number(text) and text not in ordinary


def _is_a_number(text: str) -> bool:
    return text.strip("+-").replace(".", "").replace(",", "").isdigit()


def ordinary_words(added: Iterable[str]) -> frozenset[str]:
    """The words that are not looked for, in lower case."""
    return ORDINARY_WORDS | {word.strip().lower() for word in added}


class KnownNames:
    """Finds names in texts, whatever the case of ASCII letters.

    Args:
        names: Name -> what stands for it; names that are not searched are left out by the caller.
        escapes: Applied to a name as it is written inside JSON; None for plain text.
    """

    def __init__(self, names: Mapping[str, str], escapes: Mapping[str, str] | None = None) -> None:
        patterns: dict[bytes, str] = {}
        for name in sorted(names):
            for form in _forms(name.strip()):
                written = form if escapes is None else _in_json(form, escapes)
                patterns.setdefault(written.encode("utf-8", "replace").lower(), names[name])
        if escapes is not None:
            patterns = {p: r for p, r in patterns.items() if not _may_be_structure(p)}
        self._patterns, self.by = list(patterns), list(patterns.values())
        self._automaton = (
            BytesAhoCorasick(self._patterns, matchkind=MatchKind.Standard) if patterns else None
        )

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, texts: pa.Array) -> tuple[Positions, Positions, list[int]]:
        """Starts and ends of the names, and the number of each in `by`.

        The longest name wins; parts do not overlap, and are in ascending order.

        Args:
            texts: A `large_string` array without nulls.
        """
        data, offsets = bytes_of(texts)
        nothing = np.empty(0, np.int64)
        if self._automaton is None or not len(data):
            return nothing, nothing, []
        lowered = data.tobytes().lower()
        hits = self._automaton.find_matches_as_indexes(lowered, overlapping=True)
        if not hits:
            return nothing, nothing, []
        numbers = np.fromiter(chain.from_iterable(hits), np.int64, 3 * len(hits))
        found, lower = numbers.reshape(-1, 3), np.frombuffer(lowered, np.uint8)
        found = found[_are_words(lower, offsets, found[:, 1], found[:, 2])]
        found = found[np.lexsort((-found[:, 2], found[:, 1]))]
        found = found[_without_overlaps(found[:, 1], found[:, 2])]
        return found[:, 1], found[:, 2], found[:, 0].tolist()


def _forms(name: str) -> set[str]:
    """Spellings of a name that are the same to a reader."""
    if name.isascii():
        return {name}
    cases = {name, name.lower(), name.upper()}
    return {unicodedata.normalize(form, each) for each in cases for form in ("NFC", "NFD")}


def _in_json(name: str, escapes: Mapping[str, str]) -> str:
    written = json.dumps(name, ensure_ascii=False)[1:-1]
    for escape, sign in escapes.items():
        written = written.replace(escape, sign)
    return written


def _may_be_structure(pattern: bytes) -> bool:
    """Whether JSON may hold these bytes outside of strings, where nothing may be replaced."""
    for literal in (b"true", b"false", b"null"):
        pattern = pattern.replace(literal, b"")
    return not pattern.strip(b'0123456789eE+-.,:[]{}" \t\r\n')


def _are_words(
    data: np.ndarray, offsets: Positions, starts: Positions, ends: Positions
) -> np.ndarray:
    """Which parts begin and end at the edge of a word and lie inside one text."""
    row = np.searchsorted(offsets, starts, "right") - 1
    inside = ends <= offsets[row + 1]
    first, last = starts == offsets[row], ends == offsets[np.minimum(row + 1, len(offsets) - 1)]
    before = data[np.maximum(starts - 1, 0)]
    after = data[np.minimum(ends, len(data) - 1)]
    joined = (~first & _WORD[before] & _is_word_at(data, starts)) | (
        ~last & _WORD[after] & _is_word_at(data, ends - 1)
    )
    good: np.ndarray = inside & ~joined
    other = good & ((~first & (before >= 128)) | (~last & (after >= 128)))
    for i in np.flatnonzero(other):
        good[i] = not (
            (not first[i] and _letter_before(data, int(starts[i])))
            or (not last[i] and _letter_after(data, int(ends[i])))
        )
    return good


def _is_word_at(data: np.ndarray, where: Positions) -> np.ndarray:
    """Whether a name has a letter or digit at its edge: `-x` may follow a word directly."""
    found: np.ndarray = _WORD[data[where]] | (data[where] >= 128)
    return found


def _letter_before(data: np.ndarray, position: int) -> bool:
    start = max(position - _LONGEST_CHARACTER, 0)
    piece: str = data[start:position].tobytes().decode(errors="ignore")
    return piece[-1:].isalnum() or unicodedata.combining(piece[-1:] or " ") > 0


def _letter_after(data: np.ndarray, position: int) -> bool:
    piece: str = data[position : position + _LONGEST_CHARACTER].tobytes().decode(errors="ignore")
    return piece[:1].isalnum() or unicodedata.combining(piece[:1] or " ") > 0


def _without_overlaps(starts: Positions, ends: Positions) -> np.ndarray:
    """Which parts remain, from left to right, if the first of two that overlap stays."""
    kept = np.ones(len(starts), bool)
    if (starts[1:] >= ends[:-1]).all():
        return kept
    end = -1
    for i, (start, stop) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        kept[i] = start >= end
        if kept[i]:
            end = stop
    return kept
