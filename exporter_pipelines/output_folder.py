"""Refuses to export into another output folder than before.

So nothing is written into the empty folder below a disk that is not mounted. An output folder has a
marker with an id (`stores.local.marker`). The id of the project's output folder is kept in
DAGSTER_HOME. Without DAGSTER_HOME there is nothing to compare with.

Belongs here: which output folder this project has. Does not belong here: what is in it.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from exporter_pipelines import settings
from exporter_pipelines.errors import OutputUnavailableError, WrongOutputFolderError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.files import replace_file, translate_os_errors
from exporter_pipelines.stores.local.marker import create_marker, read_marker
from exporter_pipelines.stores.local.small_files import read_small_file

_FILE = "exporter_output.json"


def expected_id() -> str | None:
    """The id of the output folder that this project exports to; None when it is not known."""
    home = settings.dagster_home()
    if home is None:
        return None
    path = Path(home) / _FILE
    with translate_os_errors(path, "read"):
        data = read_small_file(path)
    if data is None:
        return None
    try:
        return str(json.loads(data)["id"])
    except (ValueError, KeyError, TypeError):
        raise OutputUnavailableError(
            f"{path} is damaged.", "Run `exporter output adopt` to write it again."
        ) from None


def problem(store: LocalStore) -> str | None:
    """What is wrong with the output folder, without its path; None if it is the expected one."""
    expected, marker = expected_id(), read_marker(store.root)
    if expected is None or (marker and marker.id == expected):
        return None
    if marker:
        return "is another output folder than the one that was exported to before"
    if not store.root.exists():
        return "does not exist, but days were exported to it before"
    return "is not the output folder that was exported to before: its marker is missing"


HINT = (
    "Check that the disk is mounted and that EXPORTER_OUTPUT_URL is right. If you moved the output "
    "folder, or want to begin a new one, run `exporter output adopt`."
)


def require(store: LocalStore) -> None:
    """Refuse another output folder than before.

    Raises:
        WrongOutputFolderError: it is another one, or its disk is not mounted. Nothing was written.
        OutputUnavailableError: the folder, or DAGSTER_HOME, cannot be read.
    """
    if found := problem(store):
        raise WrongOutputFolderError(f"{store.root} {found}.", HINT)


def remember_first(store: LocalStore) -> None:
    """Make this the output folder of a project that has none yet; called after each publish.

    Raises:
        OutputUnavailableError: DAGSTER_HOME cannot be written.
    """
    if settings.dagster_home() and expected_id() is None:
        remember(store)


def remember(store: LocalStore) -> None:
    """Make this the output folder of the project; creates its marker if it has none.

    Raises:
        OutputUnavailableError: the folder, or DAGSTER_HOME, cannot be written.
    """
    marker = create_marker(store.root)
    home = settings.dagster_home()
    if home is None or not Path(home).is_dir():
        return
    path = Path(home) / _FILE
    content = json.dumps({"id": marker.id, "path": str(store.root)}, indent=2) + "\n"
    replace_file(path, path.with_name(f".{_FILE}.{secrets.token_hex(4)}"), content.encode())
