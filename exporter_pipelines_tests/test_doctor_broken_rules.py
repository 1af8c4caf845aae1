"""What the doctor says about a rule: its limits, and the statement that lists the values."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pandera.pandas as pandera
import pyarrow as pa
import pytest

from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.doctor.broken_rules import broken, counting
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.doctor_runs import DAY, Doctor


class Limited(pandera.DataFrameModel):
    """Columns with limits."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    severity: pa.int64 = pandera.Field(ge=0, le=5)
    size: pa.float64 = pandera.Field(ge=0)
    score: pa.float64 = pandera.Field(in_range={"min_value": 0, "max_value": 1})
    kind: pa.string = pandera.Field(isin=["a", "b"])


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (("less_than_or_equal_to", "severity"), "less_than_or_equal_to of severity (limit: 5)"),
        (("greater_than_or_equal_to", "size"), "greater_than_or_equal_to of size (limit: 0)"),
        (("in_range", "score"), "in_range of score (limits: 0 and 1)"),
        (("isin", "kind"), "isin of kind"),
        (("seen_in_order", None), "seen_in_order"),
    ],
)  # fmt: skip
def test_the_limit_of_a_rule_is_named(
    settings: dict[str, str], reason: tuple[str, str | None], said: str
) -> None:
    path = f"{__name__}.Limited"
    dataset = replace(dataset_named("logs"), schema=load_row_schema(path))
    assert broken(dataset, reason) == f"break the rule {said}"
    assert bool(counting(dataset, reason)) == (reason[1] in ("severity", "kind"))


def test_the_statement_that_counts_unknown_levels_can_be_run(
    doctor: Doctor, backend: Backend
) -> None:
    backend.add_logs(DAY, 100, first_id=1000)
    backend.run("UPDATE logs SET level = 'odd' WHERE id >= 1060")
    backend.run('ALTER TABLE logs RENAME level TO "Lvl"; ALTER TABLE logs RENAME TO "Audit"')
    doctor.edit("logs", "table: logs ", "table: Audit ")
    doctor.edit("logs", "columns: {}", "columns: {level: Lvl}")
    doctor.run("--dataset", "logs")
    hint = doctor.found("FAIL", "rows")["hint"]
    statement = 'SELECT "Lvl", count(*) FROM "Audit" GROUP BY 1 ORDER BY 2 DESC;'
    assert hint.startswith(f"The values: {statement} If this is right")
    backend.run(statement)


@pytest.mark.parametrize(("broken_from", "proposes_warn"), [(1000, False), (1060, True)])
def test_no_threshold_is_proposed_where_nearly_all_rows_break_the_rule(
    doctor: Doctor, backend: Backend, broken_from: int, proposes_warn: bool
) -> None:
    """It would publish days without these rows, and say nothing more."""
    backend.add_logs(DAY, 100, first_id=1000)
    backend.run("ALTER TABLE logs ALTER ip TYPE text")
    backend.run(f"UPDATE logs SET ip = 'host-7' WHERE id >= {broken_from}")
    doctor.run("--dataset", "logs")
    hint = doctor.found("FAIL", "rows")["hint"]
    assert ("valid_address: warn" in hint) == proposes_warn
    assert ("`thresholds: {valid_address: ignore}`" in hint) != proposes_warn
    if not proposes_warn:
        assert hint.startswith("Nearly all rows break it, so ip does not have the values that")
        doctor.edit("logs", "format: jsonl", "format: jsonl\n  thresholds: {valid_address: ignore}")
        doctor.run("--dataset", "logs")
        assert doctor.found("ok", "rows")
