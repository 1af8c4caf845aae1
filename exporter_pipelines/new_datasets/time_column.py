"""Chooses the column that decides the day of a row."""

from __future__ import annotations

import re
from collections.abc import Iterable

from exporter_pipelines.contracts.inspection import Inspection, Relation
from exporter_pipelines.contracts.table_profile import TimeCandidate
from exporter_pipelines.doctor.synonyms import likeness

_BY_KIND = {"aware": 0.4, "naive": 0.35, "date": 0.1, "text": 0.25, "number": 0.2}
_TYPED = {"aware", "naive"}
# The day of a row must not change, and must not be that of something else.
_UNSUITABLE = {
    "birth", "birthday", "born", "changed", "deleted", "due", "end", "ended", "expire", "expires",
    "expiry", "closed", "finished", "modified", "mtime", "next", "removed", "scheduled",
    "until", "updated", "valid",
}  # fmt: skip
# Two candidates are equally likely if their suitability differs by less than this.
_ALIKE = 0.1
_USUAL_UNITS = {"epoch_s", "epoch_ms"}
_TIME_WORDS = {
    "at", "date", "datetime", "day", "epoch", "moment", "ms", "on", "since", "stamp", "time",
    "timestamp", "ts", "utc", "when", "zeit", "zeitpunkt", "datum", "created", "logged",
}  # fmt: skip


def ranked_times(candidates: Iterable[TimeCandidate]) -> list[TimeCandidate]:
    """Candidates that can be the time column, the most likely first."""
    return sorted(filter(_is_possible, candidates), key=_suitability, reverse=True)


def preferred_times(
    inspection: Inspection, relation: Relation, candidates: Iterable[TimeCandidate]
) -> list[TimeCandidate]:
    """Like `ranked_times`; of columns that are equally likely, one that begins an index is first.

    Without an index each day reads the whole table. An index also tells what others ask for.
    """
    ranked = ranked_times(candidates)
    alike = [each for each in ranked if _suitability(each) > _suitability(ranked[0]) - _ALIKE]
    if len(alike) > 1:
        alike.sort(key=lambda each: inspection.missing_index(relation, each.column) is not None)
    return alike + ranked[len(alike) :]


def unnamed_times(candidates: Iterable[TimeCandidate]) -> list[str]:
    """Columns whose integers look like times, but that are not called like one.

    `ranked_times` leaves them out: they may as well count something.
    """
    return [
        each.column
        for each in candidates
        if each.encoding in _USUAL_UNITS and each.kind == "number" and not is_time_name(each.column)
    ]


def is_time_name(column: str) -> bool:
    """Whether a column is called like a time."""
    return bool(_words(column) & _TIME_WORDS) or likeness("timestamp", column) >= 0.8


def _is_possible(candidate: TimeCandidate) -> bool:
    if candidate.sampled and not candidate.usable:
        return False
    if candidate.kind == "number" and not is_time_name(candidate.column):
        return False
    return candidate.kind in _TYPED or _suitability(candidate) > 0


def _suitability(candidate: TimeCandidate) -> float:
    words = _words(candidate.column)
    named = max(likeness("timestamp", candidate.column), 0.5 * bool(words & _TIME_WORDS))
    missing = 1 - candidate.usable / candidate.sampled if candidate.sampled else 0.0
    return _BY_KIND[candidate.kind] + named - missing - 0.6 * bool(words & _UNSUITABLE)


def _words(name: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return set(re.split(r"[^a-zäöü]+", apart))
