"""One job per dataset, one for all datasets, and one for the report.

https://docs.dagster.io/guides/build/jobs
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines.docs_links import linked
from exporter_pipelines.orchestration.exports.assets import GROUP
from exporter_pipelines.orchestration.report.asset import NAME

ALL_EXPORTS_JOB = "all_exports_job"
EXPORT_REPORT_JOB = f"{NAME}_job"


def dataset_job(dataset: str) -> dg.UnresolvedAssetJobDefinition:
    """Exports one dataset."""
    return dg.define_asset_job(
        f"{dataset}_job",
        selection=dg.AssetSelection.assets(dataset),
        description=linked(
            f"Exports {dataset} for one day or a range of days. See docs/operations.md"
        ),
    )


def all_exports_job() -> dg.UnresolvedAssetJobDefinition:
    """Exports every dataset."""
    return dg.define_asset_job(
        ALL_EXPORTS_JOB,
        selection=dg.AssetSelection.groups(GROUP),
        description=linked(
            "Exports all datasets, but no presets, for one day or a range of days. "
            "See docs/operations.md"
        ),
    )


def export_report_job() -> dg.UnresolvedAssetJobDefinition:
    """Renders the report only."""
    return dg.define_asset_job(
        EXPORT_REPORT_JOB,
        selection=dg.AssetSelection.assets(NAME),
        description=linked(
            "Renders the export report of a day. Exports nothing. See docs/report.md"
        ),
    )
