"""The exit codes of commands that export days, here or by a service."""

from __future__ import annotations

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    HistoryUnavailableError,
    MissingSettingError,
    OutputUnavailableError,
    SourceUnavailableError,
    WrongOutputFolderError,
)

PUBLISHED, NOT_PUBLISHED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code_of(error: ExporterError) -> int:
    """The code for an error that ended a command."""
    out_of_reach = isinstance(error, MissingSettingError | WrongOutputFolderError)
    is_usage = isinstance(error, ConfigurationError) and not out_of_reach
    return USAGE if is_usage else UNREACHABLE


OUT_OF_REACH = {
    error.docs_anchor
    for error in (
        SourceUnavailableError,
        MissingSettingError,
        OutputUnavailableError,
        WrongOutputFolderError,
        HistoryUnavailableError,
    )
}
"""Entries of docs/failures.md about systems that were not reached: `UNREACHABLE`."""
