"""What the name of a column or of a key in JSON suggests about its values."""

from __future__ import annotations

import re
from typing import Literal

Guess = Literal["user", "host", "ip", "email", "mac", "secret", "personal", "text", "endpoint"]
"""`personal`: of a person, but no name of a user. `endpoint`: one side of a connection."""

_WORDS: dict[Guess, str] = {
    "user": """
        account acct actor anmeldename anwender approver assignee author bearbeiter benutzer
        benutzername by caller employee euser gebruiker konto kunde kunden login logname member
        mitarbeiter nick nickname nutzer operator owner principal recipient requester reviewer ruser
        sender suser duser uid uname user userid username users usuario utente utilisateur who""",
    "host": """
        computer device devices domain equipo fqdn geraet gerät host hostname hosts machine maschine
        node nodename ordinateur rechner rechnername sensor server servername serveur workstation
        """,
    "ip": """
        addr clientip destip dstip hostip ip ipaddr ipaddress ipadresse ips ipv4 ipv6 remoteip
        serverip sourceip srcip userip""",
    "email": "correo courriel email emails mail mailbox mails rcpt",
    "mac": "bssid hwaddr lladdr mac macaddr macaddress macs",
    "secret": """
        apikey authorization bearer contrasena cookie cookies credential credentials jwt kennwort
        otp pass passphrase passwd password passwords passwort pin privatekey pwd salt secret
        secrets token tokens""",
    "personal": """
        adresse apellido bic birth birthdate birthday card contact customer direccion dob fax
        firstname fullname geburtsdatum gps handy iban iccid imei imsi lastname lat latitude lng lon
        longitude mobile msisdn nachname passport patient person phone plate plz postal postcode
        prenom sess session sessionid sid ssn strasse straße street surname tel telefon telephone
        visitor vorname zip zipcode""",
    "text": """
        args body cmd cmdline command comment comments content description details line message msg
        note notes path payload query raw reason referer referrer remark request response subject
        summary text title uri url useragent""",
    "endpoint": "client dest destination dst from gateway origin peer remote src target to",
}  # fmt: skip
_OF: dict[str, Guess] = {word: guess for guess, words in _WORDS.items() for word in words.split()}

_PAIRS: dict[tuple[str, str], Guess] = {
    **dict.fromkeys(
        [(first, "name") for first in (
            "contact", "customer", "display", "family", "first", "full", "given", "last", "middle",
            "nick", "person", "real",
        )],
        "personal",
    ),
    **dict.fromkeys(
        [(first, "key") for first in ("access", "api", "encryption", "private", "secret", "ssh")],
        "secret",
    ),
    ("client", "name"): "host", ("user", "agent"): "text", ("remote", "user"): "user",
}  # fmt: skip

_OF_SOMETHING = {"address", "hash", "id", "ids", "name", "names", "no", "nr", "number", "value"}
"""Words that say what kind of a value it is, not of what: `user_id` is about a user."""

_ABOUT = {
    "agent", "asn", "at", "bytes", "category", "class", "code", "count", "country", "date",
    "enabled", "group", "kind", "length", "level", "method", "ms", "os", "port", "ports", "rank",
    "risk", "role", "score", "seconds", "size", "state", "status", "time", "total", "ts", "type",
    "verified", "version",
}  # fmt: skip
"""Words after which a name is about a property: `user_role` names no user."""

_TECHNICAL = {
    "alert", "anomaly", "batch", "correlation", "event", "finding", "job", "log", "message", "msg",
    "parent", "process", "record", "request", "row", "rule", "run", "span", "task", "trace",
    "transaction",
}  # fmt: skip

_NOT_BY = {"group", "order", "sort"}

_PLAIN = {
    "access", "action", "api", "app", "args", "attempt", "attempts", "auth", "cause", "context",
    "created", "current", "data", "destination", "direction", "display", "duration", "effective",
    "error", "event", "extra", "external", "family", "file", "first", "forwarded", "for", "full",
    "given", "headers", "http", "info", "internal", "key", "last", "list", "local", "max", "meta",
    "metadata", "middle", "min", "modified", "new", "old", "original", "primary", "private",
    "process", "protocol", "public", "real", "reply", "result", "secondary", "service", "source",
    "ssh", "ssl", "tags", "tls", "updated", "via", "x",
}  # fmt: skip
_KNOWN_WORDS = {
    *_OF,
    *_OF_SOMETHING,
    *_ABOUT,
    *_TECHNICAL,
    *_PLAIN,
    *(w for p in _PAIRS for w in p),
}


def words_of(name: str) -> list[str]:
    """`clientIp` and `client_ip`: client, ip; in lower case."""
    apart = re.sub(r"(?<=[a-zäöü0-9])(?=[A-ZÄÖÜ])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def guessed(name: str) -> Guess | None:
    """What values of this name are; None if it says nothing about persons or machines."""
    words = words_of(name)
    if not words or words[-1] in _ABOUT - {words[0]}:
        return _PAIRS.get((words[-2], words[-1])) if len(words) > 1 else None
    if len(words) > 1 and words[-1] == "by" and words[-2] in _NOT_BY:
        return None
    for position in range(len(words) - 1, -1, -1):
        if position and (pair := _PAIRS.get((words[position - 1], words[position]))):
            return pair
        if words[position] in _OF_SOMETHING or words[position].isdigit():
            continue
        return _known(words[position]) or _of_first(words[:position])
    return "personal" if "address" in words else None


def _known(word: str) -> Guess | None:
    return _OF.get(word) or _OF.get(word.rstrip("0123456789"))


def _of_first(words: list[str]) -> Guess | None:
    """`user_primary` is a user. But `ip_reputation` need not be an address: these are found."""
    guesses = [_known(word) for word in reversed(words)]
    return next((g for g in guesses if g in ("user", "host", "email", "secret", "personal")), None)


def is_technical(name: str) -> bool:
    """Whether a name is that of an identifier which a system gives to its records."""
    words = [word for word in words_of(name) if word not in ("id", "uuid", "guid", "nr", "no")]
    return all(word in _TECHNICAL for word in words)


def is_plain(key: str) -> bool:
    """Whether a key of JSON may be shown: it consists of known words, so it is no value itself."""
    words = words_of(key)
    return 0 < len(words) <= 4 and len(key) <= 40 and all(word in _KNOWN_WORDS for word in words)
