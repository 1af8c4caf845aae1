"""Columns that mark a row as deleted: an application hides such rows, an export does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARK = re.compile("(is_|was_|soft_)?(deleted|removed)(_at|_on|_date|_time|_flag)?")


def deletion_marks(columns: Iterable[str]) -> list[str]:
    """The columns whose names say so, such as `deleted_at` or `IsDeleted`."""
    return [name for name in columns if _MARK.fullmatch(_with_underscores(name))]


def _with_underscores(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[ -]", "_", name).lower()
