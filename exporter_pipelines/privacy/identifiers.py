"""What counts as an identifier inside text. Finds them in one text, exactly and slowly.

`scanner` applies this to the few pieces of a column that may hold one. Two steps: secrets first,
since they may be longer than a word, then addresses, MAC addresses and e-mail addresses in the
text between them. Over-masking is preferred to a leak: `a::b` is a valid IPv6 address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from exporter_pipelines.contracts.privacy import REDACTED
from exporter_pipelines.privacy.addresses import Address, parsed

# Written so that Python's `re`, Rust's `regex` and RE2 read them alike: no look-around. Control
# characters are excluded, since they stand for other parts (`signs`).
_ASSIGNED = r"(?i:password|passwd|pwd|secret|api_?key|access_?token|auth_?token)="
_BEARER = "(?i:bearer) "
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
    _ASSIGNED + r"""[^\s&"'\\,;<>\[\x00-\x1f][^\s&"'\\,;<>\x00-\x1f]*""",
    _BEARER + r"[A-Za-z0-9._~+/-]{16,}=*",
)
SECRETS = "|".join(f"(?:{pattern})" for pattern in _SECRETS)
WITHOUT_SECRET = rf"(?:://|{_ASSIGNED}|{_BEARER}){re.escape(REDACTED)}@?"
"""What is left of a secret that says what it is. The scanner divides a text there."""
SECRET_HINTS = (
    "://", "eyj", "-----begin", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "github_pat_", "glpat-", "xox", "aiza", "sk_live_", "password=", "passwd=", "pwd=", "secret=",
    "apikey=", "api_key=", "token=", "bearer ",
)  # fmt: skip
"""A text without any of these, in upper or lower case, has no secret."""
_KEPT_PART = re.compile(r"://|(?i:[a-z_]+=|bearer )")

_HEX = "[0-9A-Fa-f]"
_RUN = re.compile(r"[0-9A-Fa-f:.]++")
_MAC_COLONS = re.compile(rf"(?:{_HEX}{{2}}:){{5}}(?:{_HEX}{{2}}:{_HEX}{{2}}:)?{_HEX}{{2}}")
# Possessive and bounded, so that the time is linear in the length of a text without spaces.
_EMAIL = re.compile(r"[\w.+%-]{0,127}[\w+%]@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}")
_OTHERS = re.compile(
    rf"(?P<dashes>(?:{_HEX}{{2}}-){{5}}(?:{_HEX}{{2}}-{_HEX}{{2}}-)?{_HEX}{{2}})"
    rf"|(?P<dots>{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}})"
    r"|(?P<v4>(?<![\dvV])(?:\d{1,3}\.){3}\d{1,3}(?!\d))"
)
_LETTER = re.compile("[A-Fa-f]")
_NUMBER_BEFORE = re.compile(r"([^\W\d]|-)?\d+\.\Z")
_NUMBER_AFTER = re.compile(r"\.\d+([^\W\d])?")
_LONGEST_WORD = 64
ALONE = (
    r"^([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*[0-9A-Fa-f])"
    r"(?::[0-9]{1,5})?$"
)
"""Most pieces of text with an address: IPv4 alone or with a port, or IPv6 alone; for Rust."""
_IPV4 = re.compile(r"(?<!\d)(?<!\d\.)(?:\d{1,3}\.){3}\d{1,3}(?!\d)(?!\.\d)")
_EUI_64_LENGTH = 23
_ROUNDS = 4
"""How often parts of a text are searched. What is between identifiers needs a second round."""
_GROUP = 4
"""Most digits of a group in IPv6."""
_MOST_COLONS = 8
_LONGEST_ADDRESS = 45
"""Characters of `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`."""


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


def identifiers_in(text: str, known: Iterable[Found] = ()) -> list[Found]:
    """All identifiers of a text that holds no secret, from left to right.

    An identifier may follow a word or another identifier directly: `from10.1.2.3` has an address.
    So what was found first divides the text, and each part is searched without looking at others.

    Args:
        text: To search.
        known: Identifiers that were found before, from left to right.
    """
    found = list(known)
    for _ in range(_ROUNDS):
        before = len(found)
        for find in (_with_colons, _emails, _others):
            found = list(_between(found, text, find))
        if len(found) == before:
            break
    return found


def _between(
    found: list[Found], text: str, find: Callable[[str, bool, bool], Iterator[Found]]
) -> Iterator[Found]:
    """What was found, and what else is in the parts of the text between it."""
    position = 0
    for each in (*found, None):
        end = each.start if each else len(text)
        for more in find(text[position:end], position > 0, each is not None):
            yield more._replace(start=position + more.start, end=position + more.end)
        if each:
            yield each
            position = each.end


def _emails(part: str, _before: bool, _after: bool) -> Iterator[Found]:
    for match in _EMAIL.finditer(part) if "@" in part else ():
        yield Found(match.start(), match.end(), "email")


def _others(part: str, before: bool, after: bool) -> Iterator[Found]:
    """IPv4 addresses, and MAC addresses without colons.

    Args:
        part: Of a text.
        before, after: Whether an identifier is directly before it, and directly after it.
    """
    position = 0
    while match := _OTHERS.search(part, position):
        start, position = match.span()
        if match.lastgroup == "v4":
            if _is_one_of_more(part, start, position, at_start=before, at_end=after):
                position = start + 1
            else:
                yield from _address(match[0], start, position)
        elif _LETTER.search(match[0]) or not (
            _continues(part[max(0, start - 1) : start], before)
            or _continues(part[position : position + 1], after)
        ):
            yield Found(start, position, "mac")


def _is_one_of_more(part: str, start: int, end: int, *, at_start: bool, at_end: bool) -> bool:
    """Whether four numbers are some of more numbers, as in `1.2.3.4.5`, which is no address.

    A number that is part of a word is none of them: `nas07.10.1.2.3` has an address.
    """
    more = None
    if part[start - 1 : start] == ".":
        more = _NUMBER_BEFORE.search(part, max(0, start - _LONGEST_WORD), start)
    if more and (more[1] in ("v", "V") or not (more[1] or (at_start and more.start() == 0))):
        return True
    more = _NUMBER_AFTER.match(part, end)
    return more is not None and not (more[1] or (at_end and more.end() == len(part)))


def _continues(sign: str, at_edge: bool) -> bool:
    """Whether digits go on beyond a number: `2026-11-01-12-30-45` is no MAC address."""
    return sign.isalnum() or sign in ("-", ".") if sign else at_edge


def _with_colons(part: str, before: bool, after: bool) -> Iterator[Found]:
    """IPv6 addresses and MAC addresses with colons; the arguments are those of `_others`."""
    if part.count(":") < 2:
        return
    for run in _RUN.finditer(part):
        if run[0].count(":") < 2:
            continue
        start, end = run.span()
        is_first, beside = before and start == 0, part[start - 1 : start]
        follows = part[end : end + 1]
        if beside == "u" and run[0].index(":") >= _GROUP:
            start += _GROUP  # these may be the digits of an escape, and no group
        goes_on = (after and not follows) or follows.isalnum() or follows == "@"
        for each in _in_run(part[start:end], is_first or beside.isalnum(), goes_on):
            yield each._replace(start=start + each.start, end=start + each.end)


def _in_run(run: str, before: bool, after: bool) -> list[Found]:
    """Addresses in a run of hexadecimal digits, colons and dots.

    Args:
        run: With two colons at least.
        before, after: Whether a letter or digit is directly before it, and directly after it.
    """
    text = run if after else run.rstrip(".")
    if text.endswith(":") and not text.endswith("::"):
        text = text[:-1]
    if not before and not after:
        return _whole(text, 0) or _inside(text, len(text)) or _glued(text)
    end = _end_of_words(text) if after else len(text)
    if not before and (found := _whole(text[:end], 0)):
        return found
    return _glued(text) or _inside(text, end, glued=before)


def _end_of_words(text: str) -> int:
    """Where a run ends whose last digits may be those of a word.

    In `2001:db8::1:error` the last group is part of a word, and `db::query` has no address.
    """
    colon = text.rfind(":") + 1
    if ipv4 := list(_IPV4.finditer(text, colon)):
        # Letters that follow an IPv4 address directly do not belong to it.
        return ipv4[-1].end() if ipv4[-1].start() == colon else colon
    cut = max(colon, text.rfind(".") + 1)
    if cut > 0 and text[cut - 1] == ":":
        cut -= 2 if text.endswith("::", 0, cut) else 1
    return max(cut, 0)


def _glued(text: str) -> list[Found]:
    """An IPv6 address with a word or number directly before or after it.

    Digits of a word may belong to a group of the address: the four next to a colon do. Since
    `std::cafe` is a name in a program, the address must have a digit, and three groups or a first
    group such as `fe80`.
    """
    start = max(0, text.index(":") - _GROUP)
    last = text.rindex(":") + 1
    end = last + min(_GROUP, len(text[last:].partition(".")[0]))
    ends = (len(text), end, _end_of_words(text))
    found = _whole(text, 0) or next(filter(None, (_whole(text[start:e], start) for e in ends)), [])
    if found and found[0].kind == "mac":
        return found
    groups = [group for each in found for group in text[each.start : each.end].split(":")]
    if not any(map(_has_digit, groups)):
        return []
    is_likely = len(groups[0]) == _GROUP and _has_digit(groups[0])
    return found if is_likely or sum(map(bool, groups)) > 2 else []


def _has_digit(group: str) -> bool:
    return any(sign.isdigit() for sign in group)


def _whole(text: str, start: int) -> list[Found]:
    if _MAC_COLONS.fullmatch(text):
        return [Found(start, start + len(text), "mac")]
    return _address(text, start, start + len(text))


def _inside(text: str, end: int, *, glued: bool = False) -> list[Found]:
    """What a run holds that is no address as a whole, such as `12345:2001:db8::1:10.1.2.3`.

    Args:
        text: The run.
        end: Where its last group ends that may be part of an IPv6 address.
        glued: Whether its first group is the end of a word.
    """
    found: list[Found] = []
    colons = [i for i, sign in enumerate(text[:end]) if sign == ":"]
    done = 0
    for number, first in enumerate([0, *(i + 1 for i in colons)]):
        if first < done or (glued and first == 0):
            continue
        ends = colons[number + 2 : number + 1 + _MOST_COLONS]
        if end - first <= _LONGEST_ADDRESS:  # otherwise a long run would take its length squared
            ends = [*ends, end]
        for last in reversed(ends):
            piece = text[first:last]
            if piece != "::" and 2 <= piece.count(":") <= _MOST_COLONS and (
                whole := _whole(piece, first)
            ):  # fmt: skip
                found += _macs(text[done:first], done) + whole
                done = last
                break
    return found + _macs(text[done:], done)


def _macs(text: str, start: int) -> list[Found]:
    """MAC addresses that a word may follow directly; `2026:11:01:12:30:45` is none."""
    return [
        Found(start + match.start(), start + match.end(), "mac")
        for match in _MAC_COLONS.finditer(text)
        if _LETTER.search(match[0]) or not text[max(0, match.start() - 1) : match.start()].isdigit()
    ]


def _address(text: str, start: int, end: int) -> list[Found]:
    address = parsed(text)
    return [] if address is None else [Found(start, end, "ip", address)]
