"""Recognizes that `dagster asset materialize` rejects its arguments.

Reason: the command raises the same `CheckError` for a wrong argument as for a bug, and shows both
    as a traceback. Only the place that raised it tells them apart.
Upstream: https://github.com/dagster-io/dagster/issues/31109
Test: test_command_line.py::test_a_mistake_ends_with_one_sentence
"""

from __future__ import annotations

import traceback

from dagster_shared.check import CheckError

_COMMAND = "dagster/_cli/asset.py"
_PREFIX = "Failure condition: "
_NO_PARTITION = "no '--partition'"


def rejected_arguments(error: BaseException) -> str | None:
    """What the command says about its arguments; None when the error is about something else."""
    if not isinstance(error, CheckError):
        return None
    callers = traceback.extract_tb(error.__traceback__)[-2:]
    if not any(frame.filename.endswith(_COMMAND) for frame in callers):
        return None
    return str(error).removeprefix(_PREFIX)


def asks_for_partition(message: str) -> bool:
    """Whether a message of `rejected_arguments` says that no partition was given."""
    return _NO_PARTITION in message
