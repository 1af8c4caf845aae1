"""A set that is written but not published, and what a check says about it.

Belongs here: the written files as tables, and the result of a check. Does not belong here: the
checks themselves (`split_checks`, `label_checks`, `identity_spaces`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from exporter_pipelines.contracts.training_set import SPLITS, TrainingSetConfig
from exporter_pipelines.training import sql
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.splitting import Boundaries

WARNING = frozenset({"near_overlap", "no_shortcut"})
"""Checks that only warn: what they find is often true of honest data."""


@dataclass(frozen=True)
class Outcome:
    """The result of a check: one sentence, and the numbers behind it."""

    check: str
    passed: bool
    sentence: str
    numbers: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the set must not be published."""
        return not self.passed and self.check not in WARNING


@dataclass(frozen=True)
class Written:
    """A set that is written but not published: its files as tables `train`, `validation`, `test`.

    Attributes:
        connection: With a view for each split, and `evidence_<split>`.
        config, inputs, boundaries: Of the build.
        columns: Of the files.
    """

    connection: duckdb.DuckDBPyConnection
    config: TrainingSetConfig
    inputs: Inputs
    boundaries: Boundaries
    columns: tuple[str, ...]

    def number(self, query: str) -> int:
        """The single number that a query returns; 0 for null."""
        return int(sql.row(self.connection, query)[0] or 0)

    @property
    def windows(self) -> bool:
        """Whether an example is a window."""
        return self.config.windows is not None

    @property
    def begins(self) -> str:
        """The column, in microseconds, at which an example begins."""
        return f"epoch_us({sql.name('start' if self.windows else self.inputs.rows.time_column)})"

    @property
    def ends(self) -> str:
        """The microsecond after an example."""
        return 'epoch_us("end")' if self.windows else f"{self.begins} + 1"


def open_written(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    config: TrainingSetConfig,
    inputs: Inputs,
    boundaries: Boundaries,
) -> Written:
    """The files in a folder as views."""
    for split in SPLITS:
        data = sorted((folder / "data").glob(f"{split}-*.parquet"))
        connection.execute(f"CREATE OR REPLACE VIEW {split} AS SELECT * FROM {sql.files(data)}")
        evidence = folder / "evidence" / f"{split}.parquet"
        connection.execute(
            f"CREATE OR REPLACE VIEW evidence_{split} AS SELECT * FROM {sql.files([evidence])}"
        )
    described = connection.execute("DESCRIBE train").fetchall()
    return Written(connection, config, inputs, boundaries, tuple(str(row[0]) for row in described))
