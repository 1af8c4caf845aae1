"""Which output a run exported to: Dagster has one history for all outputs that a project ever had.

A run says it in a tag, when it begins. Runs of earlier versions have no tag; the days that they
published name the place in their metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import dagster as dg

from exporter_pipelines.contracts.export_attempts import DaySummary, ExportedRun
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.orchestration.exports.run_summary import shortened

OUTPUT_TAG = "exporter/output"


def write_output(context: dg.AssetExecutionContext, location: str) -> None:
    """Store where a run exports to. Raises nothing; a failure is a warning in the log of the run.

    A run that repeats another has its tags, so an existing tag is replaced.
    """
    try:
        context.instance.add_run_tags(context.run.run_id, {OUTPUT_TAG: location})
    except Exception as error:  # whatever the storage raises: the days matter more
        with suppress(Exception):  # the log is in the same storage
            context.log.warning(
                f"The tag {OUTPUT_TAG} could not be written: {shortened(str(error))}. The "
                f"report may count this run for another output than {location}."
            )


def output_of_day(store: Store, event: dg.AssetMaterialization) -> str | None:
    """The output in which a day was published, by the path of its manifest; None if unknown."""
    dataset, manifest = event.asset_key.to_user_string(), event.metadata.get("manifest")
    if manifest is None or event.partition is None:
        return None
    folder = store.day_location(dataset, event.partition).removeprefix(store.location)
    output, found, _ = str(manifest.value).rpartition(folder)
    return output if found else None


def exported_here(
    runs: Iterable[ExportedRun], store: Store, published: Iterable[DaySummary]
) -> list[ExportedRun]:
    """The runs that exported to this output; also those that do not say where.

    Args:
        runs: To all outputs.
        store: This output.
        published: Its days. If their runs exported to another place, the output was moved or copied
            from there, and all exports to that place count.
    """
    found, publishers = list(runs), {each.run_id for each in published}
    places = {run.output for run in found if run.run_id in publishers} | {store.location, None}
    return [run for run in found if run.output in places]
