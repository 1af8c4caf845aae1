"""The check `no_raw_identifiers`: reads the staged files of a day back and searches them.

Every text column of every file is searched, rejected rows included, for the raw values that the
policy removed and for whatever looks like an identifier. A hit names column and kind, never a
value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import LeakCheck
from exporter_pipelines.contracts.privacy import ColumnPolicy, PrivacyConfig
from exporter_pipelines.contracts.row_schema import REASONS_COLUMN, Column, RowSchema
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.engine.load import decoded
from exporter_pipelines.formats import compression_of
from exporter_pipelines.formats.jsonl import JsonlFormat

if TYPE_CHECKING:
    from exporter_pipelines.privacy.leaks import LeakSearch

CHECK = "no_raw_identifiers"


class ColumnPolicies(Protocol):
    """What a policy, or a manifest, says about columns."""

    def of(self, column: str, /) -> ColumnPolicy | None:
        """What happens to a column; None if it is not named."""
        ...


_REASONS = ColumnPolicy(action="keep")


def judge_leaks(staged: StagedDay) -> tuple[StagedDay, list[Verdict]]:
    """Search a staged day; nothing without a policy.

    Returns:
        The day with the result for its manifest, and the verdict.
    """
    policy, masked, stated = staged.dataset.config.privacy, staged.masked, staged.privacy
    if policy is None or masked is None or stated is None:
        return staged, []
    from exporter_pipelines.privacy.leaks import LeakSearch

    def new_search(written: Mapping[str, int]) -> LeakSearch:
        ordinary = _words_of(staged.dataset)
        return LeakSearch(masked.names, masked.unsearched, masked.addresses, ordinary, written)

    search = new_search(masked.written)
    for entry in staged.files:
        with staged.staging.open(entry.path) as file:
            search_rows(search, policy, decoded(file, entry, staged.schema), staged.schema)
    leaks = search.finish()
    hits, size_bytes = leaks.hits, leaks.size_bytes
    if staged.quarantine is not None:
        rejected = new_search(masked.written_rejected)
        _search_rejected(rejected, policy, staged)
        leaks_of_rejected = rejected.finish()
        hits, size_bytes = hits + leaks_of_rejected.hits, size_bytes + leaks_of_rejected.size_bytes
    hits = _unexpected(hits, policy)
    result = LeakCheck(
        patterns=search.patterns,
        not_searched=len(masked.unsearched),
        hits=hits.total(),
        size_bytes=size_bytes,
        addresses=leaks.addresses,
    )
    privacy = stated.model_copy(update={"leak_check": result})
    return replace(staged, privacy=privacy), [_verdict(policy, hits, result)]


def search_rows(
    search: LeakSearch, policy: ColumnPolicies, batches: Iterable[pa.RecordBatch], schema: RowSchema
) -> None:
    """Search the text columns of decoded rows."""
    for batch in batches:
        for column in schema.columns:
            if pa.types.is_string(column.type):
                how = _REASONS if column.name == REASONS_COLUMN else policy.of(column.name)
                search.search(column.name, batch[column.name], how, in_json=column.is_json)


def _search_rejected(search: LeakSearch, policy: PrivacyConfig, staged: StagedDay) -> None:
    facts, masked = staged.quarantine, staged.masked
    if facts is None or masked is None:
        return
    schema = masked.rejected_schema
    reasons = Column(REASONS_COLUMN, pa.string(), nullable=False, required=True, is_json=True)
    schema = replace(schema, columns=(*schema.columns, reasons))
    with staged.staging.open(facts.name) as file, compression_of(facts.name).open(file) as text:
        search_rows(search, policy, JsonlFormat(schema).decode(text), schema)


def _unexpected(hits: Counter[tuple[str, str]], policy: PrivacyConfig) -> Counter[tuple[str, str]]:
    """The hits without those that a policy asks for: a column of `known` may be kept itself."""
    kept = {name for name in policy.known if name not in policy.masked}
    return Counter({
        (column, kind): count
        for (column, kind), count in hits.items()
        if not (column in kept and kind == "redact")
    })  # fmt: skip


def _words_of(dataset: Dataset) -> list[str]:
    """What files have in any case: the valid values of columns, names of columns and rules."""
    columns = dataset.schema.columns
    values = [value for column in columns for value in column.values]
    rules = [rule for rule, _ in dataset.judging(dataset.schema).rules]
    return [*values, *dataset.schema.names, *rules, *(n for n, _ in dataset.config.sql_rules)]


def _verdict(policy: PrivacyConfig, hits: Counter[tuple[str, str]], result: LeakCheck) -> Verdict:
    numbers: dict[str, float | int] = {
        "hits": result.hits,
        "values_searched": result.patterns,
        "values_not_searched": result.not_searched,
    }
    for (column, kind), count in sorted(hits.items()):
        numbers[f"hits.{column}.{kind}"] = count
    if not result.hits:
        reason = (
            f"None of {result.patterns:,} raw values was found in {result.size_bytes:,} bytes. "
            f"{result.not_searched:,} short, numeric or ordinary names were not looked for in text."
        )
        return Verdict(CHECK, True, "ERROR", reason, numbers)
    listed = ", ".join(
        f"{count} x {kind} in {column}" for (column, kind), count in hits.most_common()
    )
    severity: Literal["WARN", "ERROR"] = "ERROR" if policy.leak_check == "hold" else "WARN"
    return Verdict(CHECK, False, severity, f"Raw identifiers were found: {listed}.", numbers)
