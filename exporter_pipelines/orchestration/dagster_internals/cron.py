"""Whether Dagster accepts a cron expression.

Reason: the public API checks it only inside `ScheduleDefinition`, whose error does not tell a wrong
    expression from another wrong argument.
Upstream: none found.
Test: test_dagster_internals.py::test_cron_expressions
"""

from __future__ import annotations

from dagster._utils.schedules import is_valid_cron_schedule


def is_cron_expression(text: str) -> bool:
    """Whether a schedule can use `text`; five fields or a name such as `@daily`."""
    return is_valid_cron_schedule(text)
