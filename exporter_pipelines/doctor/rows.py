"""Reads rows as an export would, predicts held days, and proposes the YAML that helps."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.inspection import DaySpan, Finding, Inspection, Level, Relation
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.doctor.broken_rules import broken, counting
from exporter_pipelines.doctor.remedies import other_values, remedy_for
from exporter_pipelines.engine.forecast import UNREADABLE_TIMES, Forecast, forecast
from exporter_pipelines.engine.held_causes import Reason
from exporter_pipelines.errors import ConfigurationError, ExporterError

DEFAULT_SECONDS = 10.0
_MOST_DAYS = 20_000
_MANY_ROWS, _NEARLY_ALL = 20, 0.9
_QUARANTINED = (
    "Such a row goes to the quarantine, the others of its day are published: "
    "docs/quality.md#the-quarantine"
)
_MORE = "`exporter doctor --seconds 60` reads more; `--all-rows` reads everything."


@dataclass
class RowCheck:
    """How long rows are read, and what was read.

    Attributes:
        seconds: Time limit of each dataset; 0 for no rows at all.
        propose_policies: Whether privacy policies are proposed from sampled rows.
        basis: Dataset -> what was read, such as `all 119,062 rows`.
    """

    seconds: float = DEFAULT_SECONDS
    propose_policies: bool = False
    basis: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def examine(
        self, dataset: Dataset, session: Session, inspection: Inspection, relation: Relation
    ) -> Iterator[Finding]:
        """Predict which days would be held. Nothing for a preset that judges like its dataset."""
        own, unfiltered = _judgement(dataset), _judgement(dataset, with_filters=False)
        if self.seconds <= 0 or not self._seen.isdisjoint({own, unfiltered}):
            return
        self._seen.add(own)
        try:
            windows = _windows(dataset, inspection, relation)
        except ConfigurationError:  # reported by `examine_settings`
            return
        if not windows:
            return
        try:
            found = forecast(dataset, windows, session, time.monotonic() + self.seconds)
        except ExporterError as error:
            message = f"No day can be exported: {error.message}"
            yield Finding("FAIL", dataset.name, "rows", message, error.hint)
            return
        if found.rows_read == 0 and not found.is_complete:
            column = dataset.source_name(dataset.config.source.time_column)
            # The tables below a view are not known.
            lacks_index = relation.is_view or inspection.missing_index(relation, column) is not None
            hint = f"Create an index, or: {_MORE}" if lacks_index else _MORE
            message = f"No row could be read in {self.seconds:g} s"
            yield Finding("warn", dataset.name, "rows", message, hint)
            return
        self.basis[dataset.name] = _basis(found)
        if found.rows_read or found.failures:
            yield from _findings(dataset, found)


def _windows(dataset: Dataset, inspection: Inspection, relation: Relation) -> list[DayWindow]:
    """The days that can be exported; if none of them has rows, the days that have."""
    zone = settings.timezone()
    yesterday = settings.today() - dt.timedelta(days=1)
    first = dt.date.fromisoformat(settings.start_date())
    end = settings.end_date()
    last = min(yesterday, dt.date.fromisoformat(end) - dt.timedelta(days=1)) if end else yesterday
    span = _span(dataset, inspection, relation, zone)
    if span is not None:
        begins, ends = dt.date.fromisoformat(span.first), dt.date.fromisoformat(span.last)
        if ends < first or begins > last:
            first, last = begins, min(ends, settings.today())
    days = max(0, min((last - first).days + 1, _MOST_DAYS))
    return [
        DayWindow.of(str(last - dt.timedelta(days=back)), zone) for back in range(days - 1, -1, -1)
    ]


def _span(
    dataset: Dataset, inspection: Inspection, relation: Relation, zone: str
) -> DaySpan | None:
    """Days of the first and the last row; None if the database does not answer in time."""
    source = dataset.config.source
    try:
        return inspection.span(relation, dataset.source_name(source.time_column), source, zone)
    except ExporterError:
        return None


def _judgement(dataset: Dataset, *, with_filters: bool = True) -> str:
    """The settings that decide which rows are rejected and which days are held.

    A filter only leaves out rows before they can be rejected. So a dataset with a filter has no
    held day that it would not have without.
    """
    config = dataset.config
    fields = {
        "row_schema", "source", "transforms", "validation", "rules", "thresholds", "defaults",
        "nullable", "unreadable_json", "max_rejected_pct", "max_rejected_rows", "max_value_bytes",
    }  # fmt: skip
    if config.extra_columns == "keep" and config.select is None:
        fields.add("extra_columns")
    if with_filters and config.filters:
        fields.add("filters")
    return config.model_dump_json(include=fields)


def _basis(found: Forecast) -> str:
    if found.read_all:
        but = "" if found.knows_unreadable_times else " (unreadable times not all found)"
        return f"all {_rows(found.rows_read)}{but}"
    of_all = "" if found.rows_total is None else f" of {found.rows_total:,}"
    return f"a sample of {found.rows_read:,}{of_all} rows"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _findings(dataset: Dataset, found: Forecast) -> Iterator[Finding]:
    name = dataset.name
    days = f"{found.days_read:,} day{'' if found.days_read == 1 else 's'}"
    if not found.failures:
        what = "Every day would be published" if found.is_complete else "No row would be rejected"
        hint = "" if found.is_complete else _MORE
        yield Finding("ok", name, "rows", f"{what}: {_basis(found)} on {days} were read", hint)
        return
    if count := found.failures.pop(UNREADABLE_TIMES, 0):
        yield _unreadable(name, found, count)
    # Rows that hold no day stay rejected: a setting for them would only hide them.
    advice = {reason: _other_values(dataset, found, reason) for reason in found.failures}
    remedied = [each for each in found.failures if found.held_by[each] and not advice[each]]
    remedy = remedy_for(dataset, remedied)
    for reason, count in found.failures.most_common():
        level = _level(found, reason)
        hint = advice[reason] or (_QUARANTINED if level == "warn" else "")
        hint = remedy if reason in remedied else hint
        if level != "ok" and (statement := counting(dataset, reason)):
            hint = f"The values: {statement} {hint}".strip()
        message = _problem(found, reason, count, broken(dataset, reason))
        yield Finding(level, name, "rows", message, hint)
        if reason in remedied and remedy:
            remedy = "See the block above."


def _other_values(dataset: Dataset, found: Forecast, reason: Reason) -> str:
    """What to do if nearly all rows break a rule; empty if they do not."""
    nearly_all = max(_MANY_ROWS, _NEARLY_ALL * found.rows_read)
    return other_values(dataset, reason) if found.failures[reason] >= nearly_all else ""


def _unreadable(name: str, found: Forecast, count: int) -> Finding:
    return Finding(
        "FAIL", name, "rows",
        f"The time of {_rows(count)} begins with the date of a day, but cannot be read: "
        f"{'' if found.knows_unreadable_times else 'at least '}{_held(found, UNREADABLE_TIMES)}",
        "Correct these times in the database; docs/types.md lists what is read as a time. Or leave "
        "the rows out with `query:`.",
    )  # fmt: skip


def _level(found: Forecast, reason: Reason) -> Level:
    if found.held_by[reason]:
        return "FAIL"
    return "ok" if reason[0] in found.tolerated else "warn"


def _problem(found: Forecast, reason: Reason, count: int, fault: str) -> str:
    """`9,912 of 119,062 rows have no level: 46 days would be held`."""
    rows = _rows(found.rows_read)
    if not found.read_all:
        of_all = "" if found.rows_total is None else f" of {found.rows_total:,}"
        rows = f"{found.rows_read:,} sampled rows{of_all}"
    if not found.held_by[reason]:
        return f"{count:,} of {rows} {fault} and would be rejected, but hold no day"
    return f"{count:,} of {rows} {fault}: {_held(found, reason)}"


def _held(found: Forecast, reason: Reason) -> str:
    """`46 days would be held`."""
    held = found.held_by[reason]
    if not found.read_all:
        return f"{held:,} of the {found.days_read:,} days read would be held"
    return "1 day would be held" if held == 1 else f"{held:,} days would be held"
