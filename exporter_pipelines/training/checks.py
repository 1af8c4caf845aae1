"""What must be true of the files of a set before a model is trained on it.

The checks read the written files and the published inputs, never the tables of the build, so a
mistake in the build is found. `HOLDING` names those that keep a set from being published.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter_pipelines.training.label_checks import (
    balance,
    label_not_from_future,
    no_label_column,
    no_shortcut,
)
from exporter_pipelines.training.split_checks import (
    exact_overlap,
    groups_disjoint,
    ids_disjoint,
    near_overlap,
    one_identity_space,
    time_ordered,
)
from exporter_pipelines.training.written import WARNING, Outcome, Written

CHECKS: dict[str, Callable[[Written], Outcome]] = {
    "ids_disjoint": ids_disjoint,
    "groups_disjoint": groups_disjoint,
    "time_ordered": time_ordered,
    "exact_overlap": exact_overlap,
    "near_overlap": near_overlap,
    "label_not_from_future": label_not_from_future,
    "no_label_column": no_label_column,
    "no_shortcut": no_shortcut,
    "balance": balance,
    "one_identity_space": one_identity_space,
}
"""Name -> check; the names are public."""

HOLDING = frozenset(CHECKS) - WARNING


def run_checks(written: Written) -> list[Outcome]:
    """All checks, in the order of `CHECKS`."""
    return [check(written) for check in CHECKS.values()]
