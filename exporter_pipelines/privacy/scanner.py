"""Replaces identifiers inside text and JSON, for whole columns at once.

Polars finds the pieces of a column that may hold an identifier (1.2 M messages/s), and each
distinct piece is examined exactly by `identifiers`. While a column is searched, a control character
that none of its texts has stands for each piece that was found; at the end they are replaced in
Arrow's buffers. `docs/privacy.md` describes what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.privacy import REDACTED, KeyAction
from exporter_pipelines.privacy.escapes import (
    HIDING,
    HIDING_IN_TEXT,
    restored,
    unescaped,
    unescaped_json,
)
from exporter_pipelines.privacy.identifiers import (
    SECRET_HINTS,
    SECRETS,
    Found,
    identifiers_in,
    without_secret,
)
from exporter_pipelines.privacy.json_text import ESCAPES, KeyRules, Mask, closed, opened
from exporter_pipelines.privacy.known_names import KnownNames
from exporter_pipelines.privacy.pseudonyms import MOST_REMEMBERED, Counts, Pseudonyms
from exporter_pipelines.privacy.spans import Positions, blanked, bytes_of, replaced

# All that `identifiers` looks at around an identifier, so that a piece can be examined alone.
_PIECE = r"[\w\p{N}.:@%+\-]*"
_HEX = "[0-9A-Fa-f]"
_MAY_HOLD = "|".join([
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]", f":{_HEX}{{0,4}}:", r"[\w\p{N}%+]@[\w\p{N}\-]",
    f"{_HEX}{{2}}-{_HEX}{{2}}-{_HEX}{{2}}-", rf"{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}",
])  # fmt: skip
PIECES = f"{_PIECE}(?:{_MAY_HOLD}){_PIECE}"

_SIGNS = [chr(code) for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)]
"""Control characters that may stand for a piece; `json_text` uses others."""
_NEEDED_SIGNS = 5


class _Examined(NamedTuple):
    """The identifiers of a piece of text.

    Attributes:
        starts, ends: Positions in its bytes.
        by: What stands for each.
        kinds: Of each.
        addresses: Those that look like addresses.
    """

    starts: list[int]
    ends: list[int]
    by: list[str]
    kinds: list[str]
    addresses: list[str]


class _Fill(NamedTuple):
    """A sign in texts, and what stands for it at each of its places."""

    sign: str
    by: list[str]


class _Parts(NamedTuple):
    """Parts of texts, by the positions of their bytes, and what is written instead."""

    starts: Positions
    ends: Positions
    by: pa.Array


class Scanner:
    """Scans the columns of one dataset and day.

    Args:
        pseudonyms: Of the dataset and day.
        names: Name -> what stands for it in text; see `known_names`.
    """

    def __init__(self, pseudonyms: Pseudonyms, names: Mapping[str, str]) -> None:
        self._pseudonyms = pseudonyms
        self._names = {False: KnownNames(names), True: KnownNames(names, ESCAPES)}
        self._remembered: dict[str, _Examined] = {}
        self._rules: dict[frozenset[tuple[str, KeyAction]], KeyRules] = {}

    def scan(
        self, texts: pa.Array, counts: Counts, *, keys: Mapping[str, KeyAction], in_json: bool
    ) -> pa.Array:
        """The texts with pseudonyms in place of identifiers.

        Args:
            texts: Strings.
            counts: What was replaced is added.
            keys: Key in JSON -> what happens to its value.
            in_json: Whether each text is a JSON document; then each result is one as well.
        """
        series = pl.Series(values=texts.cast(pa.large_string()).fill_null(""))
        rules = self._rules_of(keys) if keys else None
        result = self._scan(series, counts, rules, in_json=in_json).cast(pa.string())
        if not texts.null_count:
            return result
        return pc.if_else(texts.is_null(), pa.scalar(None, pa.string()), result)

    def _scan(
        self, texts: pl.Series, counts: Counts, rules: KeyRules | None, *, in_json: bool
    ) -> pa.Array:
        signs = _free_signs(texts)
        if len(signs) < _NEEDED_SIGNS:
            return self._row_by_row(texts, counts, rules, in_json=in_json)
        fills: list[_Fill] = []
        if rules is not None:
            texts, containers = rules.without_containers(texts, signs[0], self._mask_into(counts))
            fills.append(_Fill(signs[0], containers))
        if in_json:
            texts = opened(texts)
        if rules is not None:
            texts, values = self._keyed(texts, signs[1], rules, counts)
            fills.append(_Fill(signs[1], values))
        rest = signs[2:]
        rows, plain = self._hiding(texts, rest, rules, in_json=in_json)
        if not len(rows):
            result = self._finish(texts, rest, fills, None, counts, in_json=in_json)
            return _arrow(closed(pl.Series(values=result))) if in_json else result
        texts = texts.scatter(rows, [text for text, _ in plain])
        result = self._finish(texts, rest, fills, rules, counts, in_json=in_json)
        if not in_json:
            return result
        masked = pl.Series(values=result)
        again = [restored(t, base) for t, (_, base) in zip(masked.gather(rows), plain, strict=True)]
        return _arrow(closed(masked.scatter(rows, again)))

    def _hiding(
        self, texts: pl.Series, signs: list[str], rules: KeyRules | None, *, in_json: bool
    ) -> tuple[pl.Series, list[tuple[str, int]]]:
        """Rows in which escapes hide an identifier, and their texts without escapes."""
        rows = texts.str.contains(HIDING if in_json else HIDING_IN_TEXT).arg_true()
        if not len(rows):
            return rows, []
        decoded = [
            unescaped_json(text) if in_json else (unescaped(text), 0) for text in texts.gather(rows)
        ]
        plain = pl.Series([text for text, _ in decoded], dtype=pl.String)
        masked = self._finish(plain, signs, [], rules, Counts(), in_json=in_json)
        hides = (pl.Series(values=masked) != plain).to_list()
        kept = [each for each, hidden in zip(decoded, hides, strict=True) if hidden]
        return rows.filter(pl.Series(hides)), kept

    def _finish(
        self,
        texts: pl.Series,
        signs: list[str],
        fills: list[_Fill],
        rules: KeyRules | None,
        counts: Counts,
        *,
        in_json: bool,
    ) -> pa.Array:
        """Texts with everything replaced, and with `fills` in the places of their signs.

        Args:
            texts, counts, in_json: As for `scan`; documents are opened.
            signs: Not in any text.
            fills: What other signs in the texts stand for.
            rules: If keys may have been written with escapes.
        """
        fills = [*fills]
        if rules is not None:
            texts, values = self._keyed(texts, signs[0], rules, counts)
            fills.append(_Fill(signs[0], values))
        texts, secrets = _secrets(texts, signs[1], counts)
        fills.append(_Fill(signs[1], secrets))
        array = _arrow(texts)
        parts = [_at_signs(array, fill.sign, fill.by) for fill in fills if fill.by]
        parts.append(self._identifiers(texts, array, signs[2], counts))
        parts.append(self._known(blanked(array, *parts[-1][:2]), counts, in_json=in_json))
        return _replaced(array, parts)

    def _row_by_row(
        self, texts: pl.Series, counts: Counts, rules: KeyRules | None, *, in_json: bool
    ) -> pa.Array:
        """For a batch with nearly all control characters; a text that has them is redacted."""
        if len(texts) == 1:
            counts.replaced["unreadable"] += 1
            return pa.array([f'"{REDACTED}"' if in_json else REDACTED], pa.large_string())
        half = len(texts) // 2
        return pa.concat_arrays([
            self._scan(part, counts, rules, in_json=in_json)
            for part in (texts.slice(0, half), texts.slice(half))
        ])  # fmt: skip

    def _rules_of(self, keys: Mapping[str, KeyAction]) -> KeyRules:
        which = frozenset(keys.items())
        if which not in self._rules:
            self._rules[which] = KeyRules(keys)
        return self._rules[which]

    def _mask_into(self, counts: Counts) -> Mask:
        def mask(action: KeyAction, value: str) -> str:
            text = self.mask_value(action, value)
            count_values(counts, action, [text], [1], self._pseudonyms)
            return text

        return mask

    def mask_value(self, action: KeyAction, value: str) -> str:
        """A value under a key of a policy, replaced."""
        return REDACTED if action == "redact" else self._pseudonyms.of(action, value)

    def _keyed(
        self, texts: pl.Series, sign: str, rules: KeyRules, counts: Counts
    ) -> tuple[pl.Series, list[str]]:
        found = _all_found(texts, rules.pattern)
        if not len(found):
            return texts, []
        distinct = found.dictionary_encode()
        by = []
        found_of: dict[str, tuple[list[str], list[int]]] = {}
        numbers = np.bincount(distinct.indices.to_numpy(), minlength=len(distinct.dictionary))
        for match, number in zip(distinct.dictionary.to_pylist(), numbers.tolist(), strict=True):
            known = rules.remembered.get(match)
            if known is None:
                if len(rules.remembered) > MOST_REMEMBERED:
                    rules.remembered.clear()
                action, value = rules.value(match)
                text = self.mask_value(action, value)
                known = action, text, rules.replaced(match, text)
                rules.remembered[match] = known
            action, text, written = known
            texts_of, numbers_of = found_of.setdefault(action, ([], []))
            texts_of.append(text)
            numbers_of.append(number)
            by.append(written)
        for kind, (texts_of, numbers_of) in found_of.items():
            count_values(counts, kind, texts_of, numbers_of, self._pseudonyms)
        return _with_sign(texts, rules.pattern, sign), _taken(by, distinct)

    def _identifiers(self, texts: pl.Series, array: pa.Array, sign: str, counts: Counts) -> _Parts:
        """Addresses and e-mail addresses in texts (`array`: the same texts)."""
        found = _all_found(texts, PIECES)
        if not len(found):
            return _NO_PARTS
        distinct = found.dictionary_encode()
        pieces, which = distinct.dictionary.to_pylist(), distinct.indices.to_numpy()
        self._examine(pieces)
        examined = [self._remembered[piece] for piece in pieces]
        numbers = np.bincount(which, minlength=len(pieces)).tolist()
        kinds, written = counts.replaced, counts.addresses
        for each, number in zip(examined, numbers, strict=True):
            for kind in each.kinds:
                kinds[kind] = kinds.get(kind, 0) + number
            for address in each.addresses:
                written[address] = written.get(address, 0) + number
        marked = _arrow(_with_sign(texts, PIECES, sign))
        lengths = np.diff(bytes_of(found)[1])
        # A piece begins where its sign is, after the bytes that the signs before it replaced.
        begins = _at_signs(marked, sign, []).starts - bytes_of(marked)[1][0]
        begins += np.cumsum(lengths - 1) - (lengths - 1) + bytes_of(array)[1][0]
        return _spread(examined, which, begins)

    def _examine(self, pieces: list[str]) -> None:
        """Find the identifiers in pieces that are not known yet."""
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.clear()
        new = {p: identifiers_in(p) for p in pieces if p not in self._remembered}
        self._pseudonyms.prepare(
            each.address for found in new.values() for each in found if each.address is not None
        )
        for piece, found in new.items():
            examined = self._remembered[piece] = _Examined([], [], [], [], [])
            for each in found:
                raw = piece[each.start : each.end]
                start = each.start if piece.isascii() else len(piece[: each.start].encode())
                examined.starts.append(start)
                examined.ends.append(start + len(raw.encode()))
                examined.by.append(self._pseudonym(each, raw, examined.addresses))
                examined.kinds.append(each.kind)

    def _pseudonym(self, found: Found, raw: str, addresses: list[str]) -> str:
        if found.address is None:
            return self._pseudonyms.of(found.kind, raw)
        text = self._pseudonyms.address(found.address)
        if self._pseudonyms.is_address(text):
            addresses.append(text)
        # IPv4 inside IPv6 stays so.
        return f"::ffff:{text}" if ":" in raw and self._pseudonyms.is_ipv4(text) else text

    def _known(self, texts: pa.Array, counts: Counts, *, in_json: bool) -> _Parts:
        names = self._names[in_json]
        starts, ends, which = names.find(texts)
        counts.replaced["known"] += len(which)
        by = pa.array(names.by, pa.large_string()).take(pa.array(which, pa.int64()))
        return _Parts(starts, ends, by)


def count_values(
    counts: Counts, kind: str, texts: list[str], numbers: list[int], pseudonyms: Pseudonyms
) -> None:
    """Count values of a column or key that were replaced.

    Args:
        counts: They are added here.
        kind: As in the policy.
        texts: What was written.
        numbers: How often each.
        pseudonyms: Know which of the texts are addresses.
    """
    counts.replaced[kind] += sum(numbers)
    written = counts.addresses
    for text, number in zip(texts, numbers, strict=True):
        if "." in text or ":" in text:
            address = text.partition("/")[0].partition("%")[0]
            if pseudonyms.is_address(address):
                written[address] = written.get(address, 0) + number


def _secrets(texts: pl.Series, sign: str, counts: Counts) -> tuple[pl.Series, list[str]]:
    if not texts.str.contains_any(list(SECRET_HINTS)).any():
        return texts, []
    found = _all_found(texts, SECRETS)
    if not len(found):
        return texts, []
    counts.replaced["secret"] += len(found)
    return _with_sign(texts, SECRETS, sign), [without_secret(each) for each in found.to_pylist()]


def _free_signs(texts: pl.Series) -> list[str]:
    if not texts.str.contains(r"[\x00-\x08\x0e\x0f\x18-\x1f]").any():
        return _SIGNS
    return [sign for sign in _SIGNS if not texts.str.contains(sign, literal=True).any()]


def _all_found(texts: pl.Series, pattern: str) -> pa.Array:
    """All matches in their order, over all texts."""
    return _arrow(texts.str.extract_all(pattern).explode().drop_nulls())


def _with_sign(texts: pl.Series, pattern: str, sign: str) -> pl.Series:
    return texts.str.replace_all(pattern, sign)


def _arrow(texts: pl.Series) -> pa.Array:
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.cast(pa.large_string())


def _taken(by: list[str], distinct: pa.DictionaryArray) -> list[str]:
    return [by[i] for i in distinct.indices.to_pylist()]


_NOTHING = np.empty(0, np.int64)
_NO_PARTS = _Parts(_NOTHING, _NOTHING, pa.array([], pa.large_string()))


def _at_signs(texts: pa.Array, sign: str, by: list[str]) -> _Parts:
    """The places of a sign, which is one byte."""
    data, offsets = bytes_of(texts)
    first, last = int(offsets[0]), int(offsets[-1])
    where = first + np.flatnonzero(data[first:last] == ord(sign))
    return _Parts(where, where + 1, pa.array(by, pa.large_string()))


def _spread(examined: list[_Examined], which: Positions, begins: Positions) -> _Parts:
    """The identifiers of all pieces.

    Args:
        examined: Of the distinct pieces.
        which: Number of the distinct piece, for each piece.
        begins: Position of each piece.
    """
    numbers = np.array([len(each.starts) for each in examined])
    first = np.cumsum(numbers) - numbers
    repeats = numbers[which]
    total = int(repeats.sum())
    within = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    flat = np.repeat(first[which], repeats) + within
    base = np.repeat(begins, repeats)
    starts = np.array([s for each in examined for s in each.starts], np.int64)
    ends = np.array([e for each in examined for e in each.ends], np.int64)
    by = pa.array([b for each in examined for b in each.by], pa.large_string())
    return _Parts(base + starts[flat], base + ends[flat], by.take(pa.array(flat)))


def _replaced(texts: pa.Array, parts: list[_Parts]) -> pa.Array:
    starts = np.concatenate([each.starts for each in parts])
    ends = np.concatenate([each.ends for each in parts])
    order = np.argsort(starts, kind="stable")
    by = pa.concat_arrays([each.by for each in parts]).take(pa.array(order))
    return replaced(texts, starts[order], ends[order], by)
