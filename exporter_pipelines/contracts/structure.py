"""What is wrong with the places of exports, apart from their content.

Belongs here: one such finding, and those of a dataset. Does not belong here: looking for them,
which each store does for its own kind of storage, nor findings about content
(`verification.report`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["symbolic_link", "foreign", "unreadable", "mode"]
"""Some of `verification.report.KINDS`."""


@dataclass(frozen=True)
class Misplaced:
    """A file, folder or object that is not where or what it should be.

    Attributes:
        kind: What kind of problem.
        path: Relative to the root of the store, `logs/data/date=2026-11-01`.
        message: The problem, after the path.
        hint: What to do next.
    """

    kind: Kind
    path: str
    message: str
    hint: str

    @classmethod
    def unopened(cls, path: str, error: OSError) -> Misplaced:
        """Why something could not be opened or read."""
        if error.errno == errno.ELOOP:
            what = "is a symbolic link, or lies behind one"
            return cls("symbolic_link", path, what, "Remove it.")
        if error.errno in (errno.EINVAL, errno.ENXIO, errno.ENOTDIR):
            return cls("foreign", path, "is not what should lie there", "Remove it.")
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        return cls("unreadable", path, f"cannot be read: {reason}", "Give this user permission.")


@dataclass(frozen=True)
class Structure:
    """The places of a dataset, outside of its days.

    Attributes:
        misplaced: What is wrong with them.
        days: Days with anything at the place of an export, oldest first.
        quarantined_days: Days with anything at the place of rejected rows.
    """

    misplaced: Sequence[Misplaced] = ()
    days: Sequence[str] = ()
    quarantined_days: Sequence[str] = ()
