"""Writes the export report under the settings of this project."""

from __future__ import annotations

from exporter_pipelines import output_folder
from exporter_pipelines.definitions import descriptions
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.extras import require
from exporter_pipelines.orchestration.exports.command_instance import instance_of_command
from exporter_pipelines.orchestration.exports.known_warnings import silence_all
from exporter_pipelines.orchestration.exports.partitions import daily_partitions
from exporter_pipelines.orchestration.report.rendering import write_reports
from exporter_pipelines.stores.opening import open_store


def written_report(day: str | None) -> str:
    """Write the report of a day, or the newest one, and return where it is.

    Raises:
        ExporterError: it cannot be written; see `exporter report`.
    """
    silence_all()
    require("report")
    last = daily_partitions().get_last_partition_key()
    if last is None:
        raise ConfigurationError("No day can be exported yet: EXPORTER_START_DATE is not over.")
    if day and day > last:
        raise ConfigurationError(
            f"{day} is after the last day that can be exported, {last}.", "Choose an earlier day."
        )
    store = open_store()
    output_folder.require(store)
    with instance_of_command() as instance:
        written = write_reports(instance, store, descriptions(), day or last)
    return written.page if day else written.newest_page
