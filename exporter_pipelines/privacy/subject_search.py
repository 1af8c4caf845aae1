r"""Finds subjects in texts and JSON documents, and writes the texts without them.

A column is narrowed down with Polars to the few texts that may have a subject; these are examined
exactly. Texts are searched as a reader sees them: `%40` and `\u0040` hide nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from exporter_pipelines.contracts.privacy import REDACTED
from exporter_pipelines.privacy.addresses import printed
from exporter_pipelines.privacy.escapes import HIDING, HIDING_IN_TEXT, unescaped
from exporter_pipelines.privacy.identifiers import identifiers_in
from exporter_pipelines.privacy.json_text import ESCAPES, opened
from exporter_pipelines.privacy.pieces import PIECES
from exporter_pipelines.privacy.pseudonyms import address_in
from exporter_pipelines.privacy.subject_lookup import Subjects
from exporter_pipelines.privacy.subjects import WORD, Shape, mac_digits

# For Rust, what `WORD` is for Python.
_WORD = r"[\p{L}\p{N}]+"
_SIGN = r"[^\p{L}\p{N}]"
_MOST_ANCHORS = 500
"""Of more, a pattern becomes slow."""
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9eE.+-]*', re.DOTALL)
_HIDING = re.compile(HIDING_IN_TEXT)
_MAC_LENGTHS = (12, 16)


class _Span(NamedTuple):
    start: int
    end: int
    label: str


class SubjectSearch:
    """Searches the texts of one kind of column.

    Args:
        subjects: To find.
        first: Labels that are returned rather than others, if a text has several subjects.
    """

    def __init__(self, subjects: Subjects, first: Collection[str] = ()) -> None:
        self._subjects, self._first = subjects, first

    @property
    def _has_identifiers(self) -> bool:
        return self._subjects.has_addresses or self._subjects.has_macs

    def candidates(self, texts: pa.Array, *, in_json: bool) -> list[int]:
        """Positions of the texts that may have a subject; of all others it is certain that not."""
        series = pl.Series(values=texts.cast(pa.large_string()).fill_null(""))
        plain = _as_read(series) if in_json else series
        found = set(self._may_have(plain).arg_true())
        hiding = series.str.contains(HIDING if in_json else HIDING_IN_TEXT).arg_true()
        if len(hiding):
            decoded = pl.Series([unescaped(text) for text in plain.gather(hiding)], dtype=pl.String)
            found |= set(hiding.filter(self._may_have(decoded)))
        return sorted(found)

    def _may_have(self, texts: pl.Series) -> pl.Series:
        """Whether each text may have a subject, without escapes."""
        if texts.str.len_bytes().sum() != texts.str.len_chars().sum():
            texts = texts.str.normalize("NFC")
        found = pl.repeat(False, len(texts), dtype=pl.Boolean, eager=True)
        words = self._distinct_words(texts)
        for shape, anchors in self._anchors(words).items():
            names, overlapping = self._names_in(texts, shape, anchors)
            found = found | overlapping
            if names:
                found = found | texts.str.contains_any(names)
        if macs := [word for word in words if self._mac(word) is not None]:
            found = found | texts.str.contains_any(macs)
        if self._has_identifiers and (pieces := self._pieces_with_subjects(texts)):
            found = found | texts.str.contains_any(pieces)
        return found

    def whole(self, text: str) -> str | None:
        """The label of the subject that a whole value is."""
        value = unicodedata.normalize("NFC", text).strip()
        found = self._subjects.name(value) if self._subjects.has_names else None
        if found is None and self._subjects.has_addresses:
            address = address_in(value)
            found = self._subjects.address(printed(address)) if address else None
        if found is None and self._subjects.has_macs and len(value) <= 2 * 16:
            found = self._subjects.mac(mac_digits(value))
        return found

    def first_in(self, text: str) -> str | None:
        """The label of a subject that a text has or is."""
        return self.whole(text) or self.without(text)[1]

    def first_in_json(self, document: str) -> str | None:
        """The label of a subject that a JSON document has."""
        return self.without_in_json(document)[1]

    def without(self, text: str) -> tuple[str, str | None]:
        """A text with `[redacted]` in the place of subjects, and the label of the first one.

        A text without a subject stays as it is. If escapes hide one, all of them are decoded.
        """
        label = None
        composed = unicodedata.normalize("NFC", text)
        if spans := self._spans(composed):
            text, label = _redacted(composed, spans), self._label_of(spans)
        if _HIDING.search(text):
            plain = unicodedata.normalize("NFC", unescaped(text))
            if spans := self._spans(plain):
                text, label = _redacted(plain, spans), self._one(label, self._label_of(spans))
        return text, label

    def without_in_json(self, document: str) -> tuple[str, str | None]:
        """The same for a JSON document, which stays valid; keys and numbers are searched too."""
        first: str | None = None

        def replaced(match: re.Match[str]) -> str:
            nonlocal first
            written = match[0]
            if written[0] != '"':
                label = self.whole(written)
                first = self._one(first, label)
                return written if label is None else json.dumps(REDACTED)
            text = _text_of(written)
            label = self.whole(text)
            shown = REDACTED
            if label is None:
                shown, label = self.without(text)
            first = self._one(first, label)
            return written if label is None else _written(shown)

        result = _TOKENS.sub(replaced, document)
        if first is not None and not _keys_are_unique(result):
            result = json.dumps(REDACTED)
        return result, first

    def _label_of(self, spans: list[_Span]) -> str:
        return next((s.label for s in spans if s.label in self._first), spans[0].label)

    def _one(self, label: str | None, other: str | None) -> str | None:
        """One of two labels."""
        return other if label is None or other in self._first else label

    def _distinct_words(self, texts: pl.Series) -> list[str]:
        if not (self._subjects.has_names or self._subjects.has_macs):
            return []
        return texts.str.extract_all(_WORD).explode().drop_nulls().unique().to_list()

    def _anchors(self, words: list[str]) -> dict[Shape, list[str]]:
        """Shape -> the words that may begin a subject of this shape."""
        found: dict[Shape, list[str]] = {}
        for word in words if self._subjects.has_names else ():
            for shape in self._subjects.shapes(word):
                found.setdefault(shape, []).append(word)
        return found

    def _names_in(
        self, texts: pl.Series, shape: Shape, anchors: list[str]
    ) -> tuple[list[str], pl.Series]:
        """The subjects of one shape as they are written, and texts that must be examined.

        The latter have an anchor within the words after another one, and a pattern finds the first.
        """
        if len(anchors) > _MOST_ANCHORS:
            return [], texts.str.contains_any(anchors)
        anchor = f"(?:{'|'.join(map(re.escape, sorted(anchors, key=len, reverse=True)))})"
        first, *between, last = map(re.escape, shape.signs)
        begin = first or f"(?:^|{_SIGN})"
        more = "".join(sign + _WORD for sign in between)
        found = texts.str.extract_all(begin + anchor + more + last).explode().drop_nulls().unique()
        written = [each if first or each[0].isalnum() else each[1:] for each in found]
        names = [each for each in written if self._subjects.name(each) is not None]
        if not between:
            return names, pl.repeat(False, len(texts), dtype=pl.Boolean, eager=True)
        twice = (
            "".join(sign + _WORD for sign in between[:number]) + sign + anchor
            for number, sign in enumerate(between)
        )
        return names, texts.str.contains(f"{begin}{anchor}(?:{'|'.join(twice)})")

    def _mac(self, word: str) -> str | None:
        """The label of a MAC address that is written without separators."""
        if not self._subjects.has_macs or len(word) not in _MAC_LENGTHS:
            return None
        return self._subjects.mac(word.lower())

    def _pieces_with_subjects(self, texts: pl.Series) -> list[str]:
        pieces = texts.str.extract_all(PIECES).explode().drop_nulls().unique()
        return [piece for piece in pieces if self._identifiers(piece)]

    def _spans(self, text: str) -> list[_Span]:
        """The places of subjects in a composed text, from left to right, without overlaps."""
        found = self._names(text) if self._subjects.has_names or self._subjects.has_macs else []
        if self._has_identifiers:
            found += self._identifiers(text)
        if not found:
            return []
        if "@" in text:
            found = _with_whole_emails(found, text)
        return _joined(sorted(found))

    def _names(self, text: str) -> list[_Span]:
        words = list(WORD.finditer(text))
        found = []
        for number, word in enumerate(words):
            if (label := self._mac(word[0])) is not None:
                found.append(_Span(word.start(), word.end(), label))
            for shape in self._subjects.shapes(word[0]):
                last = number + shape.words - 1
                if last >= len(words):
                    continue
                start = word.start() - len(shape.signs[0])
                end = words[last].end() + len(shape.signs[-1])
                if start < 0 or end > len(text):
                    continue
                label = self._subjects.name(text[start:end])
                if label is not None:
                    found.append(_Span(start, end, label))
        return found

    def _identifiers(self, text: str) -> list[_Span]:
        """IP and MAC addresses that are subjects."""
        found = []
        for each in identifiers_in(text):
            label = None
            if each.kind == "ip" and each.address is not None:
                label = self._subjects.address(printed(each.address))
            elif each.kind == "mac":
                label = self._subjects.mac(mac_digits(text[each.start : each.end]))
            if label is not None:
                found.append(_Span(each.start, each.end, label))
        return found


def _as_read(documents: pl.Series) -> pl.Series:
    r"""The text of JSON documents with the characters that `\n` and others stand for."""
    texts = opened(documents)
    if texts.str.contains("[\x10-\x17]").any():
        for escape, sign in ESCAPES.items():
            texts = texts.str.replace_all(sign, json.loads(f'"{escape}"'), literal=True)
    return texts


def _with_whole_emails(spans: Iterable[_Span], text: str) -> list[_Span]:
    """The spans, and of those in an e-mail address all of it: it would tell who it was."""
    emails = [each for each in identifiers_in(text) if each.kind == "email"]
    ends, found = [each.end for each in emails], []
    for span in spans:
        next_one = bisect_right(ends, span.start)
        if next_one < len(emails) and (email := emails[next_one]).start < span.end:
            span = _Span(min(email.start, span.start), max(email.end, span.end), span.label)
        found.append(span)
    return found


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Spans in ascending order, overlapping ones as one."""
    joined: list[_Span] = []
    for each in spans:
        if joined and each.start < joined[-1].end:
            before = joined[-1]
            joined[-1] = before._replace(end=max(before.end, each.end))
        else:
            joined.append(each)
    return joined


def _redacted(text: str, spans: Iterable[_Span]) -> str:
    pieces, position = [], 0
    for span in spans:
        pieces += [text[position : span.start], REDACTED]
        position = span.end
    return "".join([*pieces, text[position:]])


def _text_of(written: str) -> str:
    """The value of a string in JSON; in text that only looks like JSON, what is in the quotes."""
    try:
        return str(json.loads(written, strict=False))
    except ValueError:
        return written[1:-1]


def _written(text: str) -> str:
    """A text as a string in JSON; halves of surrogate pairs are escaped."""
    has_half = any("\ud800" <= sign <= "\udfff" for sign in text)
    return json.dumps(text, ensure_ascii=has_half)


def _keys_are_unique(document: str) -> bool:
    """Whether no object has a key twice, which many readers refuse."""

    def checked(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    try:
        json.loads(document, object_pairs_hook=checked)
    except (ValueError, RecursionError):
        return False
    return True
