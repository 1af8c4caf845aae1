"""Finds the days with rows that a rule rejected, to export them again once the rule is fixed.

Only the reasons of quarantined rows are read, never their values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.effective_rules import known_rules
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.row_schema import REASONS_COLUMN
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.quarantine import quarantine_pattern
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.formats import compression_of

_REASONS = f'"{REASONS_COLUMN}":'.encode()
"""Key of the reasons, the last one of a line; in a string value its quotes would be escaped."""


@dataclass(frozen=True)
class RepairDay:
    """A day with rows that the rule rejected.

    Attributes:
        published: Such rows in the quarantine of the published export.
        held: Such rows in quarantines of held exports.
    """

    day: str
    published: int
    held: int


@dataclass
class Repair:
    """Days to export again.

    Attributes:
        days: In order.
        unreadable: Quarantine files that could not be read to their end.
    """

    dataset: str
    rule: str
    column: str | None
    days: list[RepairDay] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        at = f" ({self.column})" if self.column else ""
        if not self.days:
            return f"{self.dataset}: no day has rows that {self.rule}{at} rejected."
        rows = sum(found.published + found.held for found in self.days)
        return (
            f"{self.dataset}: {len(self.days)} days have {rows:,} rows that {self.rule}{at} "
            "rejected."
        )


def days_to_repair(store: Store, dataset: Dataset, rule: str, column: str | None = None) -> Repair:
    """Search the quarantines of all days, published or held.

    If the quarantine of a published day was removed, the number in its manifest counts. One row
    at a time is in memory.

    Args:
        store: The exports.
        dataset: Whose days to search.
        rule: Its name in checks and quarantine; the schema need not have it any more.
        column: Only rows that the rule rejected for this column.

    Raises:
        UnknownNameError: neither the dataset nor any of its quarantines knows the rule or column.
        OutputUnavailableError: a manifest may not be read.
    """
    repair, seen = Repair(dataset.name, rule, column), set[tuple[str, str | None]]()
    days = {*store.published_days(dataset.name), *store.quarantined_days(dataset.name)}
    for day in sorted(days):
        found = _search_day(store, repair, day, seen)
        if found.published or found.held:
            repair.days.append(found)
    if not repair.days:
        _require_known(dataset, rule, column, seen)
    return repair


def _search_day(
    store: Store, repair: Repair, day: str, seen: set[tuple[str, str | None]]
) -> RepairDay:
    manifest = Manifest.if_readable(store.read_manifest(repair.dataset, day))
    entry = manifest.quarantine if manifest else None
    named = entry.path.rpartition("/")[2] if entry else None
    files = _count_files(store, repair, day, seen)
    published = files.pop(named, None) if named else None
    if published is None and manifest:
        # Removed by retention, or damaged: the manifest still has the number.
        published = sum(
            result.failed
            for result in manifest.validation.rules
            if result.rule == repair.rule and repair.column in (None, result.column)
        )
    held = sum(count for count in files.values() if count is not None)
    return RepairDay(day, published or 0, held)


def _count_files(
    store: Store, repair: Repair, day: str, seen: set[tuple[str, str | None]]
) -> dict[str, int | None]:
    """File -> rows that the rule rejected; None for one that cannot be read."""
    folder = store.quarantine_location(repair.dataset, day)
    counts: dict[str, int | None] = {}
    try:
        listed = store.quarantine_files(repair.dataset, day)
    except FileNotFoundError:
        return counts
    except OSError:
        repair.unreadable.append(folder)
        return counts
    for name in filter(quarantine_pattern(repair.dataset, day).fullmatch, listed):
        try:
            with store.open_quarantine(repair.dataset, day, name) as file:
                counts[name] = _count(_reasons(file, name), repair, seen)
        except FileNotFoundError:
            continue  # an export removed it in the meantime
        except Exception:  # every library has its own; the text may hold a row
            counts[name] = None
            repair.unreadable.append(f"{folder}/{name}")
    return counts


def _count(
    reasons: Iterator[set[tuple[str, str | None]]],
    repair: Repair,
    seen: set[tuple[str, str | None]],
) -> int:
    count = 0
    for broken in reasons:
        seen |= broken
        count += any(
            rule == repair.rule and repair.column in (None, column) for rule, column in broken
        )
    return count


def _reasons(file: BinaryIO, name: str) -> Iterator[set[tuple[str, str | None]]]:
    """(rule, column) pairs of each row of a quarantine file."""
    with compression_of(name).open(file) as content:
        for line in content:
            # Not the whole row: it may contain what Python's parser refuses, such as huge numbers.
            tail = line.rpartition(_REASONS)[2].rstrip().removesuffix(b"}")
            yield {(reason["rule"], reason["column"]) for reason in json.loads(tail)}


def _require_known(
    dataset: Dataset, rule: str, column: str | None, seen: set[tuple[str, str | None]]
) -> None:
    rules = known_rules(dataset.schema, dataset.config.rules) | {name for name, _ in seen}
    if rule not in rules:
        raise UnknownNameError(f"{dataset.name}: rule", rule, sorted(rules))
    columns = {*dataset.schema.names, *(name for _, name in seen if name)}
    if column is not None and column not in columns:
        raise UnknownNameError(f"{dataset.name}: column", column, sorted(columns))
