"""What a user needs to know about a rule that rows break: its limits, and how to see the values.

The doctor prints no value of a row. It proposes the statement that lists them instead.
"""

from __future__ import annotations

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.row_schema import rule_name
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.contracts.sql_names import quoted, quoted_column
from exporter_pipelines.engine.held_causes import Reason
from exporter_pipelines.errors import printable

_COUNTING = "SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 2 DESC;"
_LIMITS = ("min_value", "max_value")


def broken(dataset: Dataset, reason: Reason) -> str:
    """`break the rule less_than_or_equal_to of severity (limit: 5)`."""
    rule, column = reason
    if rule == "required":
        return f"have no {printable(str(column))}"
    of = f" of {printable(column)}" if column else ""
    return f"break the rule {rule}{of}{_limits(dataset, reason)}"


def counting(dataset: Dataset, reason: Reason) -> str:
    """The statement that counts the values of a column with few of them; empty for others."""
    rule, name = reason
    source = dataset.config.source
    if rule in ("required", *SOURCE_RULES) or source.table is None:
        return ""
    if name is None or name not in dataset.schema.names:
        return ""
    column = dataset.schema[name]
    if not column.values and not pa.types.is_integer(column.type):
        return ""
    return _COUNTING.format(
        column=quoted_column(dataset.source_name(name)), table=quoted(source.table)
    )


def _limits(dataset: Dataset, reason: Reason) -> str:
    """` (limit: 5)`, as the schema has it; empty for a rule without a limit."""
    rule, name = reason
    column = dataset.schema.pandera.columns.get(name)
    for check in column.checks if column is not None else ():
        if rule_name(check) == rule:
            given = (check.statistics or {}).items()
            limits = [str(value) for key, value in given if key in _LIMITS and value is not None]
            word = "limit" if len(limits) == 1 else "limits"
            return f" ({word}: {' and '.join(limits)})" if limits else ""
    return ""
