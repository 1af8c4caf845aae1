"""Refuses to export into another output folder than before.

So nothing is written into the empty folder below a disk that is not mounted. An output folder has a
marker with an id (`stores.local.marker`). The id of the project's output folder is kept in
DAGSTER_HOME. Without DAGSTER_HOME there is nothing to compare with. A folder that has only exports
of the sample backend may be left at any time.

Belongs here: which output folder this project has. Does not belong here: what is in it.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path

from exporter_pipelines import settings
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import OutputUnavailableError, WrongOutputFolderError
from exporter_pipelines.stores.local.files import replace_file, translate_os_errors
from exporter_pipelines.stores.local.small_files import read_small_file

HINT = (
    "Check that the disk is mounted and that EXPORTER_OUTPUT_URL is right. If you moved the output "
    "folder, or want to begin a new one, run `exporter output adopt`."
)
_FILE = "exporter_output.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Known:
    """The output folder of the project.

    Attributes:
        id: Of its marker.
        sample: Whether it was chosen for exports of the sample backend.
        location: Where it was when it was chosen.
    """

    id: str
    sample: bool
    location: str


def problem(store: Store) -> str | None:
    """What is wrong with the output folder, without its path; None if it is the expected one."""
    known = _known()
    if known is None or known.sample:
        return None
    marker = store.read_marker()
    if marker and marker.id == known.id:
        return None
    if marker:
        return "is another output folder than the one that was exported to before"
    if not store.exists():
        if known.location not in ("", store.location):
            return f"does not exist. Days were exported to {known.location} before"
        return "does not exist, but days were exported to it before"
    return "is not the output folder that was exported to before: its marker is missing"


def require(store: Store) -> None:
    """Refuse another output folder than before.

    Raises:
        WrongOutputFolderError: it is another one, or its disk is not mounted. Nothing was written.
        OutputUnavailableError: the folder, or DAGSTER_HOME, cannot be read.
    """
    if found := problem(store):
        raise WrongOutputFolderError(f"{store.location} {found}.", HINT)


def remember_first(store: Store, *, sample: bool) -> None:
    """Make this the output folder of a project that has none yet; called after each publish.

    A DAGSTER_HOME that cannot be written is only logged: the day is published, and must not fail.

    Args:
        store: The output folder.
        sample: Whether the sample backend was exported.
    """
    try:
        known = _known()
        if known is None or (known.sample and not sample):
            remember(store, sample=sample)
    except OutputUnavailableError as error:
        _log.warning("The output folder is not remembered in DAGSTER_HOME. %s", error)


def remember(store: Store, *, sample: bool = False) -> None:
    """Make this the output folder of the project; creates its marker if it has none.

    Raises:
        OutputUnavailableError: the folder, or DAGSTER_HOME, cannot be written.
    """
    home = settings.dagster_home()
    marker = store.create_marker()
    if home is None or not Path(home).is_dir():
        return
    path = Path(home) / _FILE
    content = {"id": marker.id, "sample": sample, "path": store.location}
    new = path.with_name(f".{_FILE}.{secrets.token_hex(4)}")
    replace_file(path, new, json.dumps(content, indent=2).encode() + b"\n")


def _known() -> _Known | None:
    """The output folder that this project exports to; None when it is not known."""
    home = settings.dagster_home()
    if home is None:
        return None
    path = Path(home) / _FILE
    with translate_os_errors(path, "read"):
        data = read_small_file(path)
    if data is None:
        return None
    try:
        document = json.loads(data)
        return _Known(
            str(document["id"]), bool(document.get("sample")), str(document.get("path") or "")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OutputUnavailableError(
            f"{path} is damaged.", "Run `exporter output adopt` to write it again."
        ) from None
