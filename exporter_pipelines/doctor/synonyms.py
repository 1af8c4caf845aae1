"""Names that backends use for the exported columns."""

from __future__ import annotations

import difflib
import re
from functools import cache

# Most common first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "id": (
        "uuid", "guid", "nr", "number", "no", "event_id", "event_uuid", "record_id", "row_id",
        "log_id", "anomaly_id", "alert_id", "finding_id", "ip_id", "pk", "key",
    ),
    "timestamp": (
        "ts", "time", "occurred_at", "logged_at", "event_time", "detected_at", "created_at",
        "created", "datetime", "date_time", "date", "recorded_at", "received_at", "at", "when",
        "inserted_at", "found_at",
    ),
    "level": ("severity", "log_level", "lvl", "loglevel", "priority", "prio", "sev"),
    "message": ("msg", "text", "body", "content", "line", "log_message", "entry", "description"),
    "source": (
        "process_name", "program", "logger", "service", "process", "app", "application",
        "component", "facility", "logger_name", "unit", "module", "origin", "daemon",
    ),
    "device": ("host", "hostname", "host_name", "machine", "node", "server", "sensor"),
    "ip": (
        "client_ip", "src_ip", "remote_addr", "address", "source_ip", "ip_address", "addr",
        "peer", "remote_ip", "host_ip", "src",
    ),
    "address": ("ip", "ip_address", "ip_addr", "addr", "client_ip", "src_ip", "remote_addr"),
    "score": (
        "confidence", "anomaly_score", "probability", "strangeness", "likelihood", "weight",
        "value",
    ),
    "type": ("kind", "category", "anomaly_type", "class", "detector", "classification", "name"),
    "severity": ("level", "sev", "priority", "prio", "band", "urgency"),
    "status": ("state", "verdict", "disposition", "resolution"),
    "log_id": ("log", "log_ref", "event_id", "log_nr", "source_log_id", "record_id"),
    "details": (
        "detail", "evidence", "payload", "data", "info", "context", "explanation", "extra",
        "meta", "metadata", "raw", "attributes",
    ),
    "attributes": (
        "extra", "extras", "attrs", "meta", "metadata", "context", "fields", "payload", "data",
        "properties", "structured_data",
    ),
    "labels": ("tags", "lists", "label", "tag", "campaigns", "categories"),
    "first_seen": ("first_seen_at", "first", "created_at", "first_sighting", "since", "added_at"),
    "last_seen": (
        "last_seen_at", "last", "updated_at", "last_activity", "last_sighting", "seen_at",
        "modified_at",
    ),
    "risk_score": ("risk", "score", "reputation", "threat_score", "risk_level", "badness"),
    "country": ("country_code", "cc", "geo", "geo_country", "nation"),
}  # fmt: skip

ADDRESSES = {"ip", "address"}
"""Exported columns for which a database has an address type."""

_CLOSE = 0.75
# Words without meaning as a part of a longer name.
_EMPTY_WORDS = {"id", "no", "nr", "pk", "key", "name", "at", "when", "value", "data", "class"}


@cache
def likeness(exported: str, name: str) -> float:
    """How likely the column `name` contains what is exported as `exported`.

    Returns:
        1 for the same name, 0.9 to 0.8 for a synonym, 0.75 or 0.65 if one is a word of the name,
        0.6 to 0.8 for a similar name; otherwise 0.
    """
    plain = _plain(name)
    if plain == _plain(exported):
        return 1.0
    synonyms = SYNONYMS.get(exported, ())
    plain_synonyms = [_plain(synonym) for synonym in synonyms]
    if plain in plain_synonyms:
        return 0.9 - 0.1 * plain_synonyms.index(plain) / len(synonyms)
    words = _words(name) - _EMPTY_WORDS
    by_word = 0.75 if exported in words else 0.65 if words & set(synonyms) else 0.0
    close = max(_ratio(plain, other) for other in (_plain(exported), *plain_synonyms[:4]))
    return max(by_word, 0.8 * close if close >= _CLOSE else 0.0)


def alike(one: str, other: str) -> float:
    """Similarity of two names, from 0 to 1."""
    return _ratio(_plain(one), _plain(other))


def _plain(name: str) -> str:
    """Normalize: `LogLevel`, `log_level` and `log-level` become `loglevel`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _words(name: str) -> set[str]:
    """`clientIp` and `client_ip`: client, ip."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return set(re.split(r"[^a-z0-9]+", apart))


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
