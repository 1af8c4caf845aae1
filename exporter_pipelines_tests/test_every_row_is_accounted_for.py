"""Every row of any table is exported, rejected, filtered, or counted as outside of every day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import DATABASES, Database
from exporter_pipelines_tests.support.foreign_tables import ForeignTable

TABLES = {"postgresql": 6, "sqlite": 30}
"""Some of each; the campaign `accounting` tries more."""


@pytest.fixture(params=["postgresql", "sqlite"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Database]]:
    with DATABASES[request.param](request, tmp_path) as found:
        yield request.param, found


def test_every_row_of_random_tables_is_accounted_for(
    empty: tuple[str, Database], tmp_path: Path
) -> None:
    """`rows = exported + rejected + filtered + outside every day`, for each table."""
    kind, database = empty
    for seed in range(TABLES[kind]):
        database.run("DROP TABLE IF EXISTS things")
        table = ForeignTable(database, random.Random(seed))
        rows = table.fill()
        found = table.accounts(LocalStore(tmp_path / f"exports-{seed}"), rows)
        said = f"seed {seed}: {table.described}, {found.outside}"
        assert found.kept + sum(found.outside.values()) == rows, said
