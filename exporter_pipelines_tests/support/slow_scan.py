"""The scanner, slowly: one text at a time, with Python's own regular expressions and parser."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from exporter_pipelines.contracts.privacy import REDACTED
from exporter_pipelines.privacy.escapes import HIDING_IN_TEXT, unescaped
from exporter_pipelines.privacy.identifiers import SECRETS, identifiers_in, without_secret
from exporter_pipelines.privacy.pseudonyms import Pseudonyms

_SECRETS = re.compile(SECRETS)
_SHORT = "\b\t\n\f\r"
"""Control characters that JSON writes with one letter."""


class SlowScan:
    """See `exporter_pipelines.privacy.scanner.Scanner`."""

    def __init__(self, pseudonyms: Pseudonyms, names: Mapping[str, str]) -> None:
        self._pseudonyms = pseudonyms
        self._by = {name.lower(): by for name, by in names.items()}
        longest = sorted(names, key=len, reverse=True)
        self._names = re.compile(
            "|".join(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in longest) or r"(?!)",
            re.I,
        )

    def text(self, text: str) -> str:
        """A text with pseudonyms in place of identifiers."""
        if re.search(HIDING_IN_TEXT, text):
            plain = unescaped(text)
            if (masked := self._plain(plain)) != plain:
                return masked
        return self._plain(text)

    def document(self, text: str, keys: Mapping[str, str]) -> Any:
        """The value of a JSON document with pseudonyms in place of identifiers."""
        return self._value(json.loads(text), keys)

    def _value(self, value: Any, keys: Mapping[str, str]) -> Any:
        if isinstance(value, str):
            return self.text_in_json(value)
        if isinstance(value, list):
            return [self._value(each, keys) for each in value]
        if isinstance(value, dict):
            return {
                self.text_in_json(key): self._under(each, keys[key.lower()])
                if key.lower() in keys
                else self._value(each, keys)
                for key, each in value.items()
            }
        return value

    def _under(self, value: Any, action: str) -> Any:
        if isinstance(value, list):
            return [self._under(each, action) for each in value]
        if isinstance(value, dict):
            return {key: self._under(each, action) for key, each in value.items()}
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value)
        return REDACTED if action == "redact" else self._pseudonyms.of(action, text)

    def text_in_json(self, text: str) -> str:
        """A string of a document; no secret ends at a control character that JSON escapes."""
        private = {
            ord(sign): 0xE000 + ord(sign) for sign in map(chr, range(32)) if sign not in _SHORT
        }
        back = {by: sign for sign, by in private.items()}
        return self._plain(text.translate(private)).translate(back)

    def _plain(self, text: str) -> str:
        pieces, position = [], 0
        for match in _SECRETS.finditer(text):
            pieces += [self._identifiers(text[position : match.start()]), without_secret(match[0])]
            position = match.end()
        return "".join([*pieces, self._identifiers(text[position:])])

    def _identifiers(self, text: str) -> str:
        pieces, position = [], 0
        for found in identifiers_in(text):
            raw = text[found.start : found.end]
            by = self._pseudonyms.of(found.kind, raw)
            if found.address is not None:
                by = self._pseudonyms.address(found.address)
                if ":" in raw and ":" not in by:
                    by = f"::ffff:{by}"
            pieces += [self._known(text[position : found.start]), by]
            position = found.end
        return "".join([*pieces, self._known(text[position:])])

    def _known(self, text: str) -> str:
        return self._names.sub(lambda match: self._by[match[0].lower()], text)
