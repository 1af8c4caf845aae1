"""What the numbers of a time column most likely count."""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import TimeEncoding


def likely_encoding(number: float) -> TimeEncoding:
    """By its size: between 1973 and 5138 each unit has digits of its own."""
    if number < 1e11:
        return "epoch_s"
    return "epoch_ms" if number < 1e14 else "epoch_us"
