"""Why a row is not exported, as found by the source, a step of the engine, or Pandera."""

from __future__ import annotations

from typing import NamedTuple


class Rejection(NamedTuple):
    """Why a row is not exported.

    Attributes:
        row: Position in the batch.
        rule: Name of the rule.
        column: Column that it judges; None for a rule over whole rows.
        value: The offending value as text, shortened; None for a missing one or a whole row.
    """

    row: int
    rule: str
    column: str | None
    value: str | None
