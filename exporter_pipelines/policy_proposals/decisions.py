"""Decides what a policy does with one column. When in doubt, its text is scanned."""

from __future__ import annotations

from typing import NamedTuple

from exporter_pipelines.contracts.privacy import ColumnPolicy, KeyAction, Kind
from exporter_pipelines.policy_proposals.columns import Contents, SampledColumn
from exporter_pipelines.policy_proposals.names import (
    Guess,
    guessed,
    is_plain,
    is_technical,
    words_of,
)

_ADDRESS_TYPES: dict[str, Kind] = {
    "inet": "ip", "cidr": "ip", "macaddr": "mac", "macaddr8": "mac",
}  # fmt: skip
_FOUND_WHOLE: tuple[Kind, ...] = ("ip", "email", "mac")
_PSEUDONYMS: dict[Guess, Kind] = {
    "user": "user", "host": "host", "ip": "ip", "email": "email", "mac": "mac",
}  # fmt: skip
_KEY_ACTIONS: dict[Guess, KeyAction] = {
    **_PSEUDONYMS, "secret": "redact", "personal": "hash",
}  # fmt: skip

_KEEP = ColumnPolicy(action="keep")
_SCAN = ColumnPolicy(action="scan")
_HASH = ColumnPolicy(action="hash")


class Decision(NamedTuple):
    """What a policy does with a column, and why."""

    policy: ColumnPolicy
    why: str


def decided(column: SampledColumn) -> Decision | None:
    """What a policy should do with a column; None if the policy need not name it."""
    guess = guessed(column.name)
    if column.is_key:
        return _of_key(column, guess)
    match column.kind:
        case "timestamp" | "float64" | "bool":
            if guess == "personal" and not column.is_time:
                return Decision(ColumnPolicy(action="drop"), "by its name")
            return Decision(_KEEP, "numbers or times") if column.is_extra else None
        case "int64":
            return _by_name(guess) or Decision(_KEEP, "numbers")
        case "json":
            return _of_documents(column)
        case _:
            return _of_text(column, guess)


def _of_key(column: SampledColumn, guess: Guess | None) -> Decision:
    """A key must still identify a row, so it gets a pseudonym or a hash, or stays."""
    if column.kind == "int64":
        by_name = _by_name(guess)
        return by_name if by_name and by_name.policy.action != "redact" else Decision(
            _KEEP, "the key: numbers"
        )  # fmt: skip
    if _is_record_id(column):
        return Decision(_KEEP, "the key: a UUID of each row")
    found, contents = _of_text(column, guess), column.contents
    if found.policy.action == "pseudonym":
        return found
    if guess in ("secret", "personal") or contents.inside or contents.whole:
        return Decision(_HASH, found.why)
    return Decision(_KEEP, "the key")


def _is_record_id(column: SampledColumn) -> bool:
    """Whether a key called `uid` has UUIDs: it is the unique id of a row then, and no user's."""
    return (
        column.is_key
        and words_of(column.name) == ["uid"]
        and (column.type_name == "uuid" or column.contents.are_uuids)
    )


def _of_text(column: SampledColumn, guess: Guess | None) -> Decision:
    contents = column.contents
    if kind := _ADDRESS_TYPES.get(column.type_name):
        return _pseudonym(kind, column.type_name)
    if guess == "secret":
        return Decision(ColumnPolicy(action="redact"), "by its name")
    if contents.values and contents.mostly(contents.documents):
        return _of_documents(column)
    if (kind := _PSEUDONYMS.get(guess) if guess else None) and not _is_prose(contents):
        return _pseudonym(kind, contents.counted() or "by its name")
    for whole in _FOUND_WHOLE:
        if contents.values and contents.mostly(contents.whole[whole]):
            return _pseudonym(whole, contents.counted())
    if guess == "endpoint" and contents.whole["ip"]:
        return _pseudonym("host", contents.counted())
    if guess == "personal" and not _is_prose(contents):
        return Decision(_HASH, "by its name")
    if contents.whole or contents.inside:
        return Decision(_SCAN, contents.counted())
    if guess in ("text", "personal") or not contents.values:
        return Decision(_SCAN, "text" if contents.values else "no values in the sample")
    return _without_identifiers(column)


def _without_identifiers(column: SampledColumn) -> Decision:
    contents = column.contents
    if contents.are_kinds:
        values = "1 value" if contents.distinct == 1 else f"{contents.distinct} different values"
        return Decision(_KEEP, f"{values} in {contents.values:,} rows")
    if contents.system_ids == contents.values:
        if is_technical(column.name):
            return Decision(_KEEP, "identifiers of records")
        return Decision(_HASH, "identifiers")
    return Decision(_SCAN, "text")


def _of_documents(column: SampledColumn) -> Decision:
    keys = dict(_keys(column.contents))
    found = column.contents.counted()
    return Decision(
        ColumnPolicy(action="scan", keys=keys), f"JSON with {found}" if found else "JSON"
    )


def _keys(contents: Contents) -> list[tuple[str, KeyAction]]:
    """Keys of documents whose values are replaced whatever they are."""
    found: dict[str, tuple[str, KeyAction]] = {}
    for key, values in contents.keys.items():
        if not is_plain(key):
            continue
        guess = guessed(key)
        if guess == "endpoint" and Contents.of(values).whole["ip"]:
            guess = "host"
        if guess in _KEY_ACTIONS:
            found.setdefault(key.casefold(), (key, _KEY_ACTIONS[guess]))
    return sorted(found.values())


def _by_name(guess: Guess | None) -> Decision | None:
    """For a column of numbers."""
    if guess in _PSEUDONYMS:
        return _pseudonym(_PSEUDONYMS[guess], "by its name")
    if guess in ("personal", "secret"):
        action = "hash" if guess == "personal" else "redact"
        return Decision(ColumnPolicy(action=action), "by its name")
    return None


def _pseudonym(kind: Kind, why: str) -> Decision:
    return Decision(ColumnPolicy(action="pseudonym", kind=kind), why)


def _is_prose(contents: Contents) -> bool:
    """Whether the values are text of several words, whatever the name says."""
    return bool(contents.sentences) and contents.mostly(contents.sentences)
