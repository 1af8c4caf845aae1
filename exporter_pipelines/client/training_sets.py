"""Downloads the newest version of a training set, as it is in the output folder of the service.

A version goes to `training_sets/NAME/v-VERSION/`, and the link `latest` beside it leads to it once
all of its files are there. So the code of a data card works on the copy as well.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from pydantic import ValidationError

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.downloads import Arrived
from exporter_pipelines.client.errors import DownloadError, UnexpectedAnswerError
from exporter_pipelines.client.file_download import (
    BeginAgainError,
    FileDownload,
    replace_small_file,
    writing_below,
)
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.training_manifest import TrainingManifest

_ATTEMPTS = 5
"""How often a set is begun again because a new version was published during the download."""
_FOLDER = "training_sets"


@dataclass(frozen=True)
class DownloadedTrainingSet:
    """A version of a training set that is in the folder.

    Attributes:
        name, version: Which one.
        folder: Where its files and its manifest are.
        files: All of its files but the manifest.
        size_bytes: Of these files.
        was_there: Whether all of it was in the folder before.
    """

    name: str
    version: str
    folder: Path
    files: tuple[Path, ...]
    size_bytes: int
    was_there: bool


def download_training_set(
    connection: Connection, name: str, folder: Path, *, arrived: Arrived | None
) -> DownloadedTrainingSet:
    """See `Client.download_training_set`."""
    path = f"/training-sets/{quote(name, safe='')}/files"
    with writing_below(folder):
        for _ in range(_ATTEMPTS):
            sealed = connection.request("GET", f"{path}/{MANIFEST_NAME}").content
            try:
                return _fetch(connection, path, folder, sealed, _read(sealed, name), arrived)
            except BeginAgainError:
                continue
    raise DownloadError(
        f"Training set {name!r} was built again {_ATTEMPTS} times during the download.",
        "Download it when its builds have ended.",
    )


def _fetch(
    connection: Connection,
    path: str,
    folder: Path,
    sealed: bytes,
    manifest: TrainingManifest,
    arrived: Arrived | None,
) -> DownloadedTrainingSet:
    home = folder / _FOLDER / manifest.name
    target = home / f"v-{manifest.data_version[:12]}"
    mine, files, was_there = target / MANIFEST_NAME, [], True
    for entry in manifest.files():
        file = target / entry.path
        file.parent.mkdir(parents=True, exist_ok=True)
        download = FileDownload(connection, f"{path}/{quote(entry.path)}", file, entry)
        was_there &= not download.run(arrived)
        files.append(file)
    if not mine.is_file() or mine.read_bytes() != sealed:
        was_there = False
        replace_small_file(mine, sealed)
    _point_to(home, target)
    size_bytes = sum(entry.size_bytes for entry in manifest.files())
    return DownloadedTrainingSet(
        manifest.name, manifest.data_version, target, tuple(files), size_bytes, was_there
    )


def _point_to(home: Path, target: Path) -> None:
    """Let `latest` lead to a complete version, in one step."""
    link = home / f".latest.{secrets.token_hex(4)}"
    link.symlink_to(target.name)
    link.replace(home / "latest")


def _read(sealed: bytes, name: str) -> TrainingManifest:
    try:
        manifest = TrainingManifest.model_validate_json(sealed)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise UnexpectedAnswerError(
            f"The manifest of the training set {name!r} cannot be used: {reason}.",
            "Build the set again on the server.",
        ) from None
    if manifest.name != name:
        raise UnexpectedAnswerError(
            f"The service sends the manifest of {manifest.name!r} for {name!r}.",
            "Build the set again on the server.",
        )
    for each in manifest.files():
        _require_inside(each.path)
    return manifest


def _require_inside(path: str) -> None:
    """The service names files here; none of them may lead out of the folder of the version."""
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and path == "/".join(parts)
    if not plain or any(part.startswith((".", "/")) for part in parts) or path == MANIFEST_NAME:
        raise UnexpectedAnswerError(
            f"The service names a file {path!r}, which is not a file of a training set.",
            "Nothing was written for it.",
        )
