"""What counts as an identifier inside text. Finds them in one text, exactly and slowly.

`scanner` applies this to the few pieces of a column that may hold one. Two steps: secrets first,
since they may be longer than a word, then addresses, MAC addresses and e-mail addresses in the
text between them. Over-masking is preferred to a leak: `a::b` is a valid IPv6 address.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from exporter_pipelines.contracts.privacy import REDACTED
from exporter_pipelines.privacy.addresses import Address, parsed

# Written so that Python's `re`, Rust's `regex` and RE2 read them alike: no look-around. Control
# characters are excluded, since they stand for other parts (`signs`).
_SECRETS = (
    r"""://[^\s/?#"'\\<>\x00-\x1f]+@""",
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[0-9A-Za-z_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"sk_live_[0-9A-Za-z]{16,}",
    r"""(?i:password|passwd|pwd|secret|api_?key|access_?token|auth_?token)=[^\s&"'\\,;<>\[\x00-\x1f]"""
    r"""[^\s&"'\\,;<>\x00-\x1f]*""",
    r"(?i:bearer) [A-Za-z0-9._~+/-]{16,}=*",
)
SECRETS = "|".join(f"(?:{pattern})" for pattern in _SECRETS)
SECRET_HINTS = (
    "://", "eyj", "-----begin", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "glpat-", "xox", "aiza", "sk_live_", "password=", "passwd=", "pwd=", "secret=",
    "apikey=", "api_key=", "token=", "bearer ",
)  # fmt: skip
"""A text without any of these, in upper or lower case, has no secret."""
_KEPT_PART = re.compile(r"://|(?i:[a-z_]+=|bearer )")

_V4 = re.compile(r"(?<![\dvV])(?<!\d\.)(?:\d{1,3}\.){3}\d{1,3}(?!\d)(?!\.\d)")
_HEX = "[0-9A-Fa-f]"
_MAC_COLONS = re.compile(rf"(?:{_HEX}{{2}}:){{5}}(?:{_HEX}{{2}}:{_HEX}{{2}}:)?{_HEX}{{2}}")
_MAC_DOTS = re.compile(rf"{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}")
# Possessive and bounded, so that the time is linear in the length of a text without spaces.
_EMAIL = re.compile(r"[\w.+%-]{0,127}[\w+%]@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}(?![\w-])")
_TOKENS = re.compile(
    rf"(?P<dashes>(?<![0-9A-Za-z-])(?:{_HEX}{{2}}-){{5}}{_HEX}{{2}}(?![0-9A-Za-z-]))"
    rf"|(?P<hex>(?<![0-9A-Za-z])[0-9A-Fa-f:.]++)"
    rf"|(?P<v4>{_V4.pattern})"
)
ALONE = (
    r"^([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*[0-9A-Fa-f])"
    r"(?::[0-9]{1,5})?$"
)
"""Most pieces of text with an address: IPv4 alone or with a port, or IPv6 alone; for Rust."""
_EUI_64_LENGTH = 23
_MOST_COLONS = 8


class Found(NamedTuple):
    """An identifier in a text: where, what kind, and for the kind `ip` which address."""

    start: int
    end: int
    kind: str
    address: Address | None = None


def kept_part(secret: str) -> str:
    """The beginning of a secret that says what it is, such as `password=`."""
    match = _KEPT_PART.match(secret)
    return match[0] if match else ""


def without_secret(secret: str) -> str:
    """A match of `SECRETS` without what is secret."""
    end = "@" if secret.startswith("://") else ""
    return f"{kept_part(secret)}{REDACTED}{end}"


def address_alone(text: str) -> Address | None:
    """The address that the group in `ALONE` is, if `identifiers_in` finds this and nothing else."""
    if len(text) == _EUI_64_LENGTH and _MAC_COLONS.fullmatch(text):
        return None
    return parsed(text)


def identifiers_in(text: str) -> list[Found]:
    """All identifiers of a text that holds no secret, from left to right."""
    found: list[Found] = []
    position = 0
    for match in _EMAIL.finditer(text) if "@" in text else ():
        found += _numbers_in(text, position, match.start())
        found.append(Found(match.start(), match.end(), "email"))
        position = match.end()
    return found + _numbers_in(text, position, len(text))


def _numbers_in(text: str, position: int, end: int) -> list[Found]:
    """IP and MAC addresses in a part of a text."""
    found: list[Found] = []
    while match := _TOKENS.search(text, position, end):
        start, position = match.span()
        match match.lastgroup:
            case "dashes":
                found.append(Found(start, position, "mac"))
            case "hex":
                position = _end_of_token(text, start, position)
                found += _in_token(text[start:position], start)
            case _:
                found += _address(match[0], start, position)
    return found


def _end_of_token(text: str, start: int, end: int) -> int:
    """Where a run of hexadecimal digits, colons and dots ends that a word may follow directly.

    In `2001:db8::1:error` the last group is part of a word, and `db::query` has no address.
    """
    colon = text.rfind(":", start, end) + 1
    if not text[end : end + 1].isalnum() or text.count(":", start, end) < 2:
        return end
    ipv4 = list(_V4.finditer(text, colon, end))
    if ipv4:
        # Letters that follow an IPv4 address directly do not belong to it.
        return end if ipv4[-1].end() == end else colon
    cut = max(colon, text.rfind(".", start, end) + 1)
    if text.endswith("::", start, cut):
        cut -= 2
    return cut if cut > start else end


def _in_token(token: str, start: int) -> list[Found]:
    """Addresses in a run of hexadecimal digits, colons and dots."""
    text = token.rstrip(".")
    if text.endswith(":") and not text.endswith("::"):
        text = text[:-1]
    if text.count(":") >= 2:
        return _whole(text, start) or _inside(text, start)
    if _MAC_DOTS.fullmatch(text):
        return [Found(start, start + len(text), "mac")]
    return _v4_in(text, start)


def _whole(text: str, start: int) -> list[Found]:
    if _MAC_COLONS.fullmatch(text):
        return [Found(start, start + len(text), "mac")]
    return _address(text, start, start + len(text))


def _inside(text: str, start: int) -> list[Found]:
    """What a run holds that is no address as a whole, such as `12345:2001:db8::1:10.1.2.3`."""
    found: list[Found] = []
    colons = [i for i, sign in enumerate(text) if sign == ":"]
    done = 0
    for number, first in enumerate([0, *(i + 1 for i in colons)]):
        if first < done:
            continue
        ends = [*colons[number + 2 : number + 1 + _MOST_COLONS], len(text)]
        for last in reversed(ends):
            piece = text[first:last]
            if piece != "::" and 2 <= piece.count(":") <= _MOST_COLONS and (
                whole := _whole(piece, start + first)
            ):  # fmt: skip
                found += _v4_in(text[done:first], start + done) + whole
                done = last
                break
    return found + _v4_in(text[done:], start + done)


def _v4_in(text: str, start: int) -> list[Found]:
    return [
        each
        for match in _V4.finditer(text)
        for each in _address(match[0], start + match.start(), start + match.end())
    ]


def _address(text: str, start: int, end: int) -> list[Found]:
    address = parsed(text)
    return [] if address is None else [Found(start, end, "ip", address)]
