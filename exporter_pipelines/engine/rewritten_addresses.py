"""Counts the IP addresses in columns that a policy masks, as `exporter verify --privacy` does."""

from __future__ import annotations

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Privacy
from exporter_pipelines.contracts.privacy import ColumnPolicy
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.engine.leak_check import search_rows


class StatedPolicy:
    """The policy as a manifest states it: actions without their parameters."""

    def __init__(self, privacy: Privacy) -> None:
        self._privacy = privacy

    def of(self, column: str) -> ColumnPolicy | None:
        """Masked columns count as scanned: their tokens are no identifiers."""
        title = self._privacy.columns.get(column, "keep")
        return ColumnPolicy(action="keep" if title in ("keep", "unlisted") else "scan")


def addresses_in(rows: pa.RecordBatch, schema: RowSchema, privacy: Privacy) -> int:
    """The number of addresses in masked columns of some rows of a published day."""
    from exporter_pipelines.privacy.leaks import LeakSearch

    search = LeakSearch({}, {}, frozenset())
    search_rows(search, StatedPolicy(privacy), [rows], schema)
    return search.finish().addresses
