"""The files of the slices of a day, kept until it is their turn, and put together in order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, BinaryIO, Literal, Self

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import DataFile
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import Data, FileFacts, Staging
from exporter_pipelines.engine.staged_file import StagedFile
from exporter_pipelines.formats import (
    compression_named,
    format_named,
    outer_compression,
    suffix_of,
)
from exporter_pipelines.stores import layout

_COPIED_BYTES = 1024 * 1024

Kind = Literal["rows", "rejected"]
Send = Callable[[Kind, bytes], object]
"""Receives the next bytes of the data file of a slice, or of its rejected rows."""


class SliceStaging:
    """A `contracts.staged_day.Staging` whose files are sent instead of stored."""

    generation = ""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(self, name: str, *, private: bool = False) -> _SentFile:  # noqa: ARG002
        """See `Staging`; the rejected rows are private, and nothing else."""
        return _SentFile(self._send, "rejected" if private else "rows")

    def open(self, name: str) -> BinaryIO:
        """See `Staging`; nothing that was sent can be read again."""
        raise FileNotFoundError(name)

    def discard(self) -> None:
        """See `Staging`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...


class _SentFile:
    def __init__(self, send: Send, kind: Kind) -> None:
        self._send, self._kind = send, kind

    def write(self, data: Data) -> object:
        return self._send(self._kind, bytes(data))

    def close(self) -> None: ...


@dataclass
class SliceFiles:
    """The bytes of one slice, in temporary files without names: a killed process leaves none.

    Attributes:
        entry: The data file, as the manifest would describe it alone; None without valid rows.
    """

    entry: DataFile | None = None
    _files: dict[Kind, IO[bytes]] = field(default_factory=dict)

    def add(self, kind: Kind, data: bytes) -> None:
        """Append bytes; see `Send`."""
        if kind not in self._files:
            self._files[kind] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._files[kind].write(data)

    def pieces(self, kind: Kind) -> Iterator[bytes]:
        """What was added, from the beginning."""
        if file := self._files.get(kind):
            file.seek(0)
            while piece := file.read(_COPIED_BYTES):
                yield piece

    def close(self) -> None:
        """Remove the files."""
        for file in self._files.values():
            file.close()


class JoinedFiles:
    """The files of a day, from those of its slices.

    JSON Lines and CSV are one file, with one member of gzip or frame of zstd per slice; so they
    are read like any other. The other formats cannot be joined and have a file per slice.

    Args:
        staging: Of the day.
        dataset, window, schema: See `DataFiles`.
        run_id: For the name of the quarantine.
    """

    def __init__(
        self, staging: Staging, dataset: Dataset, window: DayWindow, schema: RowSchema, run_id: str
    ) -> None:
        self._staging, self._dataset, self._window = staging, dataset, window
        config = dataset.config
        self._format = format_named(config.format)(schema, config.compression)
        self._ended: list[DataFile] = []
        self._file: StagedFile | None = None
        self._slices: list[DataFile] = []  # in the open file
        stem = layout.quarantine_stem(dataset.name, window.day, run_id, staging.generation)
        name = stem + suffix_of("jsonl", config.compression)
        self._rejected = StagedFile(staging, name, "none", private=True)

    def add(self, slice_: SliceFiles) -> None:
        """Append the next slice of the day."""
        for piece in slice_.pieces("rejected"):
            self._rejected.write(piece)
        if slice_.entry is None:
            return
        file = self._file = self._file or self._begin()
        self._slices.append(slice_.entry)
        for piece in slice_.pieces("rows"):
            file.write(piece)
        if not self._format.joins:
            self._end(file)

    def finish(self) -> tuple[tuple[DataFile, ...], FileFacts | None]:
        """End all files; returns the data files and that of the rejected rows."""
        if self._file is not None:
            self._end(self._file)
        return tuple(self._ended), self._rejected.finish()

    def _begin(self) -> StagedFile:
        config = self._dataset.config
        name = layout.data_file_name(
            self._dataset.name,
            self._window.day,
            suffix_of(config.format, config.compression),
            generation=self._staging.generation,
            part=None if self._format.joins else len(self._ended),
        )
        file = StagedFile(self._staging, name, "none")
        outer = compression_named(outer_compression(config.format, config.compression))
        if head := self._format.head():
            packed = outer.compressor()
            file.write(packed.compress(head))
            file.write(packed.flush())
        return file

    def _end(self, file: StagedFile) -> None:
        facts, slices = file.finish(), self._slices
        self._file, self._slices = None, []
        times = [t for s in slices for t in (s.min_timestamp, s.max_timestamp) if t is not None]
        if facts is not None:
            self._ended.append(
                slices[0].model_copy(
                    update={
                        "path": facts.name,
                        "record_count": sum(each.record_count for each in slices),
                        "size_bytes": facts.size_bytes,
                        "sha256": facts.sha256,
                        "min_timestamp": min(times, default=None),
                        "max_timestamp": max(times, default=None),
                    }
                )
            )
