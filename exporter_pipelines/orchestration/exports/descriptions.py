"""What an operator reads beside an asset, a job and a schedule, with the page to read on."""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset


def asset_description(dataset: Dataset) -> str:
    """The dataset's own description first; in Markdown."""
    source = dataset.config.source
    own = dataset.config.description or (
        f"Rows of `{source.origin}`, one partition per day of `{source.time_column}`."
    )
    return (
        f"{own}\n\n"
        "A day is published whole, with its manifest, or it is held or fails and the old export "
        "stays. A red day: its checks and the run's message say why, see docs/quality.md. To "
        "export or repair days: docs/operations.md. To change what is exported: its `defs.yaml`, "
        "see docs/datasets.md. To read the files: docs/reading.md."
    )


def summary_of(description: str | None) -> str:
    """The dataset's own description alone."""
    return (description or "").partition("\n\n")[0]
