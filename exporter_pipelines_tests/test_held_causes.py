"""Which rejections hold days by the limits, if a day has rows of several."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.held_causes import Reason, RejectedRows, days_per_cause

LEVEL: Reason = ("known_level", "level")
IP: Reason = ("valid_address", "ip")
TEXT: Reason = ("required", "message")


@pytest.fixture
def config(settings: dict[str, str]) -> DatasetConfig:
    """Holds days of 100 rows with more than ten rejected ones."""
    return dataset_named("logs").config


def day(rows: dict[tuple[Reason, ...], int]) -> RejectedRows:
    return RejectedRows(100, Counter({frozenset(reasons): n for reasons, n in rows.items()}))


def test_only_what_holds_a_day_without_the_others_is_a_cause(config: DatasetConfig) -> None:
    days = [day({(LEVEL,): 40, (IP,): 9}), day({(LEVEL,): 11, (TEXT,): 1})]
    assert days_per_cause(config, days) == {LEVEL: 2}
    days.append(day({(IP,): 11}))
    assert days_per_cause(config, days) == {LEVEL: 2, IP: 1}


def test_causes_that_hold_a_day_only_together_are_settled_from_the_largest(
    config: DatasetConfig,
) -> None:
    days = [day({(LEVEL,): 8, (IP,): 7}), day({(LEVEL,): 8, (TEXT,): 5})]
    assert days_per_cause(config, days) == {LEVEL: 2}
    assert days_per_cause(config, [day({(LEVEL,): 8, (IP,): 8, (TEXT,): 4})]) == {LEVEL: 1, IP: 1}


def test_a_row_with_several_reasons_needs_all_of_them_settled(config: DatasetConfig) -> None:
    assert days_per_cause(config, [day({(LEVEL, IP): 11})]) == {LEVEL: 1, IP: 1}


def test_a_larger_reason_that_holds_no_day_beside_the_others_is_no_cause(
    config: DatasetConfig,
) -> None:
    together = [day({(LEVEL,): 10, (IP,): 9}), day({(LEVEL,): 10, (TEXT,): 9})]
    assert days_per_cause(config, together) == {LEVEL: 2}
    alone = [day({(IP,): 11}), day({(TEXT,): 11})]
    assert days_per_cause(config, together + alone) == {IP: 2, TEXT: 2}
