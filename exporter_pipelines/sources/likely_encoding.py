"""Guesses the unit of the numbers in a time column."""

from __future__ import annotations

from exporter_pipelines.contracts.source_config import TimeEncoding


def likely_encoding(number: float) -> TimeEncoding:
    """The unit of a number by its size; from 1973 to 5138 the units do not overlap."""
    if number < 1e11:
        return "epoch_s"
    return "epoch_ms" if number < 1e14 else "epoch_us"
