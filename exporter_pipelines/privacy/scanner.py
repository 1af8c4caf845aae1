"""Replaces identifiers inside text and JSON, for whole columns at once.

While a column is searched, a control character that none of its texts has stands for what was
found; at the end all parts are replaced in Arrow's buffers. docs/privacy.md says what is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
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
from exporter_pipelines.privacy.identifiers import SECRET_HINTS, SECRETS, without_secret
from exporter_pipelines.privacy.json_text import ESCAPES, KeyRules, Mask, closed, opened
from exporter_pipelines.privacy.known_names import KnownNames
from exporter_pipelines.privacy.pieces import Pieces
from exporter_pipelines.privacy.pseudonyms import MOST_REMEMBERED, Counts, Pseudonyms
from exporter_pipelines.privacy.signs import (
    all_found,
    at_signs,
    free_signs,
    have,
    rows_with,
    series,
    to_arrow,
    with_rows,
    with_sign,
)
from exporter_pipelines.privacy.spans import Parts, all_bytes, blanked, replaced, strings

_NEEDED_SIGNS = 6
_ESCAPED = r"\\u[0-9A-Fa-f]{4}"


class _Fill(NamedTuple):
    """A sign in texts, and what stands for it at each of its places."""

    sign: str
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
        self._pieces = Pieces(pseudonyms)
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
        plain = texts.cast(pa.large_string()).fill_null("")
        rules = self._rules_of(keys) if keys else None
        result = self._scan(plain, counts, rules, in_json=in_json).cast(pa.string())
        if not texts.null_count:
            return result
        return pc.if_else(texts.is_null(), pa.scalar(None, pa.string()), result)

    def _scan(
        self, texts: pa.Array, counts: Counts, rules: KeyRules | None, *, in_json: bool
    ) -> pa.Array:
        signs = free_signs(texts)
        if len(signs) < _NEEDED_SIGNS:
            return self._row_by_row(texts, counts, rules, in_json=in_json)
        fills: list[_Fill] = []
        if rules is not None:
            texts, containers = rules.without_containers(texts, signs[0], self._mask_into(counts))
            fills.append(_Fill(signs[0], strings(containers)))
        if in_json and have(texts, "\\"):
            texts = to_arrow(opened(series(texts)))
        if rules is not None:
            texts, values = self._keyed(texts, signs[1], rules, counts)
            fills.append(_Fill(signs[1], values))
        rest = signs[3:]
        rows, plain = self._hiding(texts, rest, rules, in_json=in_json)
        if in_json:
            texts, kept = _with_escapes_kept(texts, signs[2], signs[:2], rows)
            fills.append(_Fill(signs[2], kept))
        if not len(rows):
            result = self._finish(texts, rest, fills, None, counts, in_json=in_json)
            return _closed(result) if in_json else result
        texts = with_rows(texts, rows, strings([text for text, _ in plain]))
        result = self._finish(texts, rest, fills, rules, counts, in_json=in_json)
        if not in_json:
            return result
        masked = result.take(pa.array(rows)).to_pylist()
        again = [restored(t, base) for t, (_, base) in zip(masked, plain, strict=True)]
        return _closed(with_rows(result, rows, strings(again)))

    def _hiding(
        self, texts: pa.Array, signs: list[str], rules: KeyRules | None, *, in_json: bool
    ) -> tuple[np.ndarray, list[tuple[str, int]]]:
        """Rows in which escapes hide an identifier, and their texts without escapes."""
        hiding = HIDING if in_json else HIDING_IN_TEXT
        rows = rows_with(texts, hiding) if have(texts, "%", "\\") else np.empty(0, np.int64)
        if not len(rows):
            return rows, []
        some = texts.take(pa.array(rows)).to_pylist()
        decoded = [unescaped_json(text) if in_json else (unescaped(text), 0) for text in some]
        plain = strings([text for text, _ in decoded])
        masked = self._finish(plain, signs, [], rules, Counts(), in_json=in_json)
        hides = np.asarray(pc.not_equal(masked, plain))
        return rows[hides], [decoded[i] for i in np.flatnonzero(hides).tolist()]

    def _finish(
        self,
        texts: pa.Array,
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
        parts = [at_signs(texts, fill.sign, fill.by) for fill in fills if len(fill.by)]
        parts.append(self._pieces.find(texts, signs[2], counts))
        parts.append(self._known(blanked(texts, parts[-1]), counts, in_json=in_json))
        return replaced(texts, parts)

    def _row_by_row(
        self, texts: pa.Array, counts: Counts, rules: KeyRules | None, *, in_json: bool
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
            [text] = self._mask_values(action, [value])
            counts.replaced[action] += 1
            counts.wrote(strings([text]), np.ones(1, np.int64))
            return text

        return mask

    def _keyed(
        self, texts: pa.Array, sign: str, rules: KeyRules, counts: Counts
    ) -> tuple[pa.Array, pa.Array]:
        found = all_found(texts, rules.pattern)
        if not len(found):
            return texts, strings([])
        distinct = found.dictionary_encode()
        if len(rules.remembered) > MOST_REMEMBERED:
            rules.remembered.clear()
        matches = distinct.dictionary.to_pylist()
        self._remember(rules, [match for match in matches if match not in rules.remembered])
        known = [rules.remembered[match] for match in matches]
        numbers = np.bincount(distinct.indices.to_numpy(), minlength=len(matches))
        for (action, _, _), number in zip(known, numbers.tolist(), strict=True):
            counts.replaced[action] += number
        counts.wrote(strings([text for _, text, _ in known]), numbers)
        by = [written for _, _, written in known]
        return with_sign(texts, rules.pattern, sign), strings(by).take(distinct.indices)

    def _remember(self, rules: KeyRules, matches: list[str]) -> None:
        """Find out what is written instead of matches; values of one action at once."""
        values_of: dict[KeyAction, dict[str, str]] = {}
        for match in matches:
            action, value = rules.value(match)
            values_of.setdefault(action, {})[match] = value
        for action, values in values_of.items():
            texts = self._mask_values(action, list(values.values()))
            for match, text in zip(values, texts, strict=True):
                rules.remembered[match] = action, text, rules.replaced(match, text)

    def _mask_values(self, action: KeyAction, values: list[str]) -> list[str]:
        if action == "redact":
            return [REDACTED] * len(values)
        return self._pseudonyms.of_many(action, values)

    def _known(self, texts: pa.Array, counts: Counts, *, in_json: bool) -> Parts:
        names = self._names[in_json]
        starts, ends, which = names.find(texts)
        counts.replaced["known"] += len(which)
        by = strings(names.by).take(pa.array(which, pa.int64()))
        return Parts(starts, ends, by)


def _closed(texts: pa.Array) -> pa.Array:
    """The documents with their escapes again. Most have no control character, and so none."""
    data = all_bytes(texts)
    return to_arrow(closed(series(texts))) if len(data) and data.min() < ord(" ") else texts


def _with_escapes_kept(
    texts: pa.Array, sign: str, others: list[str], hiding: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    r"""Documents with a sign in place of what must stay, in rows whose `\u0040` hide nothing.

    The digits of an escape could be taken for those of an address, which would break the document.

    Args:
        texts: The documents, opened.
        sign: Not in any text.
        others: Signs that stand for other parts.
        hiding: The rows in which escapes hide an identifier.
    """
    if not have(texts, "\\"):
        return texts, strings([])
    rows = np.setdiff1d(rows_with(texts, _ESCAPED), hiding)
    if not len(rows):
        return texts, strings([])
    pattern, some = f"[^{''.join(others)}]+", texts.take(pa.array(rows))
    kept = all_found(some, pattern)
    return with_rows(texts, rows, with_sign(some, pattern, sign)), kept


def _secrets(texts: pa.Array, sign: str, counts: Counts) -> tuple[pa.Array, pa.Array]:
    """The texts with a sign in place of secrets, and what is written instead of each.

    Only texts with a hint are searched: what is found must not depend on other texts of the batch.
    """
    has_hint = series(texts).str.contains_any(list(SECRET_HINTS), ascii_case_insensitive=True)
    rows = has_hint.arg_true().to_numpy()
    some = texts.take(pa.array(rows))
    found = all_found(some, SECRETS) if len(rows) else strings([])
    if not len(found):
        return texts, strings([])
    counts.replaced["secret"] += len(found)
    by = [without_secret(each) for each in found.to_pylist()]
    return with_rows(texts, rows, with_sign(some, SECRETS, sign)), strings(by)
