"""Downloads published days as files, resumed after an interruption, checked, visible when complete.

A day is in `DATASET/data/date=DAY/` with its manifest, as in the output folder, so that every
example of docs/reading.md works on it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import ValidationError

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.errors import (
    DownloadError,
    UnexpectedAnswerError,
    UnknownResourceError,
)
from exporter_pipelines.client.file_download import (
    BeginAgainError,
    FileDownload,
    replace_small_file,
    writing_below,
)
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.service.models import Dataset

_ATTEMPTS = 5
"""How often a day is begun again because it was published again during the download."""
Arrived = Callable[[int], None]


@dataclass(frozen=True)
class DownloadedDay:
    """A published day that is in the folder.

    Attributes:
        dataset, day: Which one.
        folder: Where its files and its manifest are.
        files: Its data files; none for a day without rows.
        rows, size_bytes: Of its data files.
        was_there: Whether all of it was in the folder before.
    """

    dataset: str
    day: str
    folder: Path
    files: tuple[Path, ...]
    rows: int
    size_bytes: int
    was_there: bool


def download_days(
    connection: Connection,
    dataset: str,
    days: Iterable[dt.date],
    folder: Path,
    *,
    missing: Literal["fail", "skip"],
    arrived: Arrived | None,
) -> list[DownloadedDay]:
    """See `Client.download`."""
    name = connection.get(f"/datasets/{quote(dataset, safe='')}", Dataset).name  # says if unknown
    _require_plain(name)
    found = []
    with writing_below(folder):
        for day in days:
            try:
                found.append(_Day(connection, name, str(day), folder).download(arrived))
            except UnknownResourceError:
                if missing == "fail":
                    raise
    return found


class _Day:
    def __init__(self, connection: Connection, dataset: str, day: str, folder: Path) -> None:
        self._connection, self._dataset, self._day = connection, dataset, day
        self._folder = folder / dataset / "data" / f"date={day}"
        self._path = f"/datasets/{quote(dataset, safe='')}/days/{day}"

    def download(self, arrived: Arrived | None) -> DownloadedDay:
        """Download what is not there yet.

        Raises:
            UnknownResourceError: the day is not published.
        """
        for _ in range(_ATTEMPTS):
            sealed = self._connection.request("GET", f"{self._path}/manifest").content
            try:
                return self._fetch(sealed, self._read(sealed), arrived)
            except BeginAgainError:
                continue
        raise DownloadError(
            f"{self._dataset} {self._day} was published again {_ATTEMPTS} times during the "
            "download.",
            "Download it when its exports have ended.",
        )

    def _fetch(self, sealed: bytes, manifest: Manifest, arrived: Arrived | None) -> DownloadedDay:
        self._folder.mkdir(parents=True, exist_ok=True)
        mine = self._folder / MANIFEST_NAME
        before = mine.read_bytes() if mine.is_file() else None
        was_there = before == sealed
        files = []
        for each in manifest.files:
            path = f"{self._path}/files/{quote(each.path, safe='')}"
            download = FileDownload(self._connection, path, self._folder / each.path, each)
            was_there &= not download.run(arrived)
            files.append(self._folder / each.path)
        if before != sealed:
            replace_small_file(mine, sealed)
        self._remove_others(before, files)
        return DownloadedDay(
            self._dataset, self._day, self._folder, tuple(files), manifest.record_count,
            manifest.file_size, was_there,
        )  # fmt: skip

    def _read(self, sealed: bytes) -> Manifest:
        try:
            manifest = Manifest.from_json(sealed)
        except ValidationError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise UnexpectedAnswerError(
                f"The manifest of {self._dataset} {self._day} cannot be used: {reason}.",
                "Verify the day on the server: `exporter verify`.",
            ) from None
        if (manifest.dataset, manifest.partition) != (self._dataset, self._day):
            raise UnexpectedAnswerError(
                f"The service sends the manifest of {manifest.dataset} {manifest.partition} for "
                f"{self._dataset} {self._day}.",
                "Verify the day on the server: `exporter verify`.",
            )
        for file in manifest.files:
            _require_plain(file.path)
        return manifest

    def _remove_others(self, before: bytes | None, files: list[Path]) -> None:
        """Remove the files of the export that was here before, if they have other names."""
        earlier = Manifest.if_readable(before)
        for file in earlier.files if earlier else []:
            old = self._folder / Path(file.path).name
            if old not in files:
                old.unlink(missing_ok=True)


def _require_plain(name: str) -> None:
    """The service names folders and files here; none of them may lead somewhere else."""
    plain = name == Path(name).name and name.isprintable() and "\\" not in name
    if not plain or name.startswith(".") or name == MANIFEST_NAME:
        raise UnexpectedAnswerError(
            f"The service names a file {name!r}, which is not a plain file name.",
            "Nothing was written for it.",
        )
