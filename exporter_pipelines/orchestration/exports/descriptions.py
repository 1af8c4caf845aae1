"""Descriptions of assets in the Dagster UI, with links to the docs."""

from __future__ import annotations

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.docs_links import linked
from exporter_pipelines.engine.stage import DEFAULT_BATCH_ROWS


def asset_description(dataset: Dataset) -> str:
    """Markdown: the dataset's own description, then what every dataset has in common."""
    source = dataset.config.source
    own = dataset.config.description or (
        f"Rows of `{source.origin}`, one partition per day of `{source.time_column}`."
    )
    service = settings.service_url()
    page = f"Exports without Dagster's terms: {service}/exports.\n\n" if service else ""
    return linked(
        f"{own}\n\n"
        "A day is published completely, with its manifest. If it is held or fails, a published "
        "export of it stays. Why a day is red: its page and its checks, see docs/quality.md. "
        "Export or repair days: docs/operations.md. Change what is exported: `defs.yaml`, see "
        "docs/datasets.md. Read the files: docs/reading.md.\n\n"
        f"{page}"
        "Run config: choose Open launchpad next to Materialize, which shows the defaults. Config "
        "in the Materialize dialog begins empty; paste "
        f"`ops: {{{dataset.name}: {{config: {{batch_rows: {DEFAULT_BATCH_ROWS}}}}}}}` there. "
        "1,000 to 500,000 rows."
    )


def summary_of(description: str | None) -> str:
    """The dataset's own description alone."""
    return (description or "").partition("\n\n")[0]
