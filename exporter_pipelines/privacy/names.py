"""The names that the columns and JSON keys of one day hold: what text must not repeat."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from exporter_pipelines.contracts.privacy import REDACTED, KeyAction, PrivacyConfig
from exporter_pipelines.privacy.json_text import KeyRules, opened
from exporter_pipelines.privacy.known_names import is_searched, ordinary_words
from exporter_pipelines.privacy.pseudonyms import MOST_REMEMBERED, Pseudonyms, address_in
from exporter_pipelines.privacy.signs import all_found, have, series, to_arrow

_ORDER = ("user", "host", "email", "mac", "ip", "hash", "redact")
"""If two columns have the same name, the first kind of these stands for it in text."""

_LONGEST = 256
"""Characters of a name; longer values are no names."""

_SIGN = "\x00"


class DayNames:
    """Collects names; a day's names do not depend on the order or the size of batches.

    Attributes:
        kinds: Name -> its kind.
        unsearched: Names that are too short, numbers, or ordinary words. Text may repeat them.
    """

    def __init__(self, policy: PrivacyConfig) -> None:
        self._ordinary = ordinary_words(policy.ordinary_words)
        self._columns: dict[str, str] = dict.fromkeys(policy.known, "redact")
        self._rules: dict[str, KeyRules] = {}
        for name, each in policy.masked.items():
            if each.action in ("pseudonym", "hash"):
                self._columns[name] = each.kind or "hash"
            elif each.action == "generalise" and isinstance(each.to, tuple):
                self._columns[name] = "ip"
            elif each.keys:
                self._rules[name] = KeyRules(each.keys)
        self._seen: dict[str | KeyRules, set[str]] = {}
        self.kinds: dict[str, str] = {}
        self.unsearched: dict[str, str] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect the names of a batch; columns that it lacks are left out."""
        present = set(batch.schema.names)
        for name, kind in self._columns.items():
            if name in present:
                values = batch[name].cast(pa.string()).unique().drop_null().to_pylist()
                self._add_all(kind, values)
        for name, rules in self._rules.items():
            if name in present:
                self._add_keys(rules, batch[name])

    def _add_keys(self, rules: KeyRules, documents: pa.Array) -> None:
        texts = documents.drop_null().cast(pa.large_string())
        if not len(texts):
            return

        def note(action: KeyAction, value: str) -> str:
            self._add_all(action, [value])
            return ""

        texts, _ = rules.without_containers(texts, _SIGN, note)
        if have(texts, "\\"):
            texts = to_arrow(opened(series(texts)))
        for match in self._new(rules, all_found(texts, rules.pattern).unique().to_pylist()):
            action, value = rules.value(match)
            self._add_all(action, [value])

    def _add_all(self, kind: str, values: Iterable[str]) -> None:
        for value in self._new(kind, values):
            name = value.strip()
            if not name or len(name) > _LONGEST or address_in(name) is not None:
                continue
            kinds = self.kinds if is_searched(name, self._ordinary) else self.unsearched
            before = kinds.get(name)
            if before is None or _ORDER.index(kind) < _ORDER.index(before):
                kinds[name] = kind

    def _new(self, of: str | KeyRules, values: Iterable[str]) -> list[str]:
        """Values of a kind, or matches of keys, that are new; most were in the batch before."""
        seen = self._seen.setdefault(of, set())
        if len(seen) > MOST_REMEMBERED:
            seen.clear()
        new = [value for value in values if value not in seen]
        seen.update(new)
        return new

    def in_text(self, pseudonyms: Pseudonyms) -> dict[str, str]:
        """Name -> what stands for it in text."""
        return {
            name: REDACTED if kind == "redact" else pseudonyms.of(kind, name)
            for name, kind in self.kinds.items()
        }
