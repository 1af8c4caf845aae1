"""Dagster's instance for runs of the command `exporter export`."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import yaml

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError, HistoryUnavailableError
from exporter_pipelines.orchestration.exports.history_lock import not_opened, opening_history

# Dagster would start four processes per run to keep a copy of what the run prints. Exports print
# nothing, and Ctrl-C would reach these processes as well.
_NO_COPY_OF_OUTPUT = {
    "compute_logs": {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


# Stores the events of a day in one transaction. It uses the files of Dagster's own `sqlite`.
_FAST_SQLITE = {
    "module": "exporter_pipelines.orchestration.sqlite_history",
    "class": "SqliteHistory",
}


def instance_of_command() -> dg.DagsterInstance:
    """The instance at DAGSTER_HOME, or the one of the `dagster.yaml` in the working directory.

    Raises:
        ConfigurationError: there is neither.
        HistoryUnavailableError: its storage cannot be opened.
    """
    home = Path(settings.dagster_home() or ".").expanduser()
    if settings.dagster_home() is None and not Path("dagster.yaml").is_file():
        raise ConfigurationError(
            "DAGSTER_HOME is not set, and the working directory has no dagster.yaml.",
            "Set DAGSTER_HOME in .env, or run the command in the project folder.",
        )
    if not home.is_dir():
        raise HistoryUnavailableError(
            f"DAGSTER_HOME={home} is not a folder.", "Set it to the project folder in its .env."
        )
    try:
        overrides = {**_NO_COPY_OF_OUTPUT, **_fast_sqlite(home / "dagster.yaml")}
        with opening_history(home):
            return dg.DagsterInstance.local_temp(str(home.absolute()), overrides=overrides)
    except Exception as error:
        # Broad: each storage has errors of its own.
        raise not_opened(home, error) from error


def _fast_sqlite(file: Path) -> dict[str, object]:
    """The storage in place of `storage: sqlite`; nothing for another storage."""
    config = yaml.safe_load(file.read_text()) if file.is_file() else None
    match config:
        case {"storage": {"sqlite": dict(options)}}:
            return {"storage": {"custom": {**_FAST_SQLITE, "config": options}}}
    return {}
