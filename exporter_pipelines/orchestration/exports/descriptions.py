"""Descriptions of assets in the Dagster UI, with links to the docs."""

from __future__ import annotations

from exporter_pipelines.contracts.dataset import Dataset


def asset_description(dataset: Dataset) -> str:
    """Markdown: the dataset's own description, then what every dataset has in common."""
    source = dataset.config.source
    own = dataset.config.description or (
        f"Rows of `{source.origin}`, one partition per day of `{source.time_column}`."
    )
    return (
        f"{own}\n\n"
        "A day is published completely, with its manifest. If it is held or fails, a published "
        "export of it stays. Why a day is red: its page and its checks, see docs/quality.md. "
        "Export or repair days: docs/operations.md. Change what is exported: `defs.yaml`, see "
        "docs/datasets.md. Read the files: docs/reading.md."
    )


def summary_of(description: str | None) -> str:
    """The dataset's own description alone."""
    return (description or "").partition("\n\n")[0]
