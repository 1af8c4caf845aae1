"""Builds the notes on a batch, in the form of `contracts.source.NOTES_COLUMN`."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from exporter_pipelines.sources.sqlite.cells import shown


@dataclass
class Notes:
    """Collects the notes of one batch."""

    _by_row: dict[int, list[list[str | None]]] = field(default_factory=lambda: defaultdict(list))

    def reject(self, row: int, rule: str, column: str, value: Any) -> None:
        """Note that a value could not be delivered."""
        self._by_row[row].append(["reject", rule, column, shown(value)])

    def change(self, row: int, rule: str, column: str) -> None:
        """Note that a value was delivered changed."""
        self._by_row[row].append(["change", rule, column])

    def break_rule(self, row: int, rule: str) -> None:
        """Note that a row broke an SQL rule; all its values are delivered."""
        self._by_row[row].append(["reject", rule, None, None])

    def array(self, rows: int) -> pa.Array:
        """The notes column of a batch."""
        texts = [
            json.dumps(self._by_row[row]) if row in self._by_row else None for row in range(rows)
        ]
        return pa.array(texts, pa.string())
