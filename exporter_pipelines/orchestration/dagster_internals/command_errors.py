"""Recognizes errors of `dagster asset materialize` that need a sentence instead of a traceback.

Reason: the command raises the same `CheckError` for a wrong argument as for a bug, and shows both
    as a traceback. Only the place that raised it tells them apart. An error of the history's
    storage is raised as it comes from SQLite or the operating system, often inside other errors.
Upstream: https://github.com/dagster-io/dagster/issues/31109
Test: test_command_line.py::test_a_mistake_ends_with_one_sentence
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator

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


_SQLITE_DISK = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")
_OS_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def history_disk_problem(error: BaseException) -> str | None:
    """Why Dagster could not write its history, as its storage says it; None for other errors."""
    for each in _chain(error):
        if str(getattr(each, "sqlite_errorname", "")).startswith(_SQLITE_DISK):
            return str(each)
        if isinstance(each, OSError) and each.errno in _OS_DISK and _is_of_dagster(each):
            return os.strerror(each.errno or 0)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that caused it, each once."""
    seen: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        each = following.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            # SQLAlchemy keeps the driver's error as `orig`.
            following += [each.__context__, each.__cause__, getattr(each, "orig", None)]


def _is_of_dagster(error: BaseException) -> bool:
    """Whether Dagster's own code was writing, and not an export."""
    frames = traceback.extract_tb(error.__traceback__)
    return not any("/exporter_pipelines/" in frame.filename for frame in frames[-3:])
