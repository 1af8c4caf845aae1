"""Columns whose values may be personal data, and so are never written into a comment."""

from __future__ import annotations

import re
from collections.abc import Collection

_WORDS = {
    "account", "actor", "address", "agent", "approver", "assigned", "assignee", "author", "bic",
    "birth", "birthday", "body", "by", "caller", "card", "cc", "city", "client", "comment",
    "contact", "cookie", "credential", "credentials", "customer", "description", "device", "dob",
    "domain", "employee", "fax", "first", "from", "gps", "hash", "host", "hostname", "iban", "ip",
    "key", "last", "lat", "latitude", "login", "lon", "longitude", "mac", "member", "message",
    "mobile", "msg", "name", "nick", "note", "notes", "operator", "owner", "passport", "patient",
    "payload", "peer", "person", "phone", "pin", "plate", "postal", "recipient", "reviewer",
    "salt", "sender", "session", "ssn", "street", "surname", "tel", "text", "title", "to",
    "uid", "uri", "url", "user", "username", "who", "zip", "buyer", "driver", "friend", "guest",
    "passenger", "player", "seller", "student", "subscriber", "visitor",
    "adresse", "benutzer", "kunde", "kunden", "nachname", "ort", "plz", "strasse", "telefon",
    "vorname",
}  # fmt: skip
_PARTS = ("mail", "passw", "pwd", "secret", "token", "user", "phone", "name", "address", "client")
_VALUES = re.compile(
    r"@|://|\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:|\d{6}|[0-9a-fA-F-]{16}|\S+ \S+ \S+"
)
_MIN_REPEATS = 5


def is_personal_name(column: str) -> bool:
    """Whether the name of a column suggests personal data or a secret."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()
    words = set(re.split(r"[^a-zäöüß]+", apart))
    return bool(words & _WORDS) or any(part in apart for part in _PARTS)


def are_personal_values(values: Collection[str]) -> bool:
    """Whether values look like addresses, tokens or sentences, or are numbered like `user12`."""
    numbered = sum(any(c.isdigit() for c in value) for value in values)
    return any(map(_VALUES.search, values)) or 2 * numbered > len(values)


def repeat_enough(values: int, rows: int) -> bool:
    """Whether values occur so often that they are kinds of a thing, and not the things."""
    return rows >= _MIN_REPEATS * values
