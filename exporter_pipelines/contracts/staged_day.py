"""A day that is written but not yet visible."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.erasure import Erasure
from exporter_pipelines.contracts.manifest import DataFile, Privacy, Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.source import SourceIdentity, SourceInfo
from exporter_pipelines.contracts.tally import Tally

Data: TypeAlias = bytes | bytearray | memoryview
"""Bytes of a file; may be a view, to avoid a copy."""


@dataclass(frozen=True)
class FileFacts:
    """A finished file: name inside the staging area, size in bytes, sha256 in hexadecimal."""

    name: str
    size_bytes: int
    sha256: str


class OpenFile(Protocol):
    """A new file being written; the caller closes it, and it is durable afterwards."""

    def write(self, data: Data) -> object:
        """Append bytes."""
        ...

    def close(self) -> None:
        """Flush to disk (fsync) and close. May be called twice."""
        ...


class Staging(Protocol):
    """A private staging area for one attempt at one day; a context manager that discards it.

    Owned by the process that began it. Discarding is harmless after the content was published or
    held. If the process dies, a later run removes what it left.
    """

    @property
    def generation(self) -> str:
        """Short text that is unique to this attempt."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a finished file for reading; the caller closes it."""
        ...

    def create(self, name: str, *, private: bool = False) -> OpenFile:
        """Open a new file; `private` restricts it to its owner (mode 0600 instead of 0640)."""
        ...

    def discard(self) -> None:
        """Remove everything that was not published or held. Raises nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, repr=False)
class MaskedValues:
    """The raw values of a day that must not be in its files. They must not reach a log or a file.

    Attributes:
        names: Name -> kind, of names that are looked for in text.
        unsearched: Name -> kind, of names that text may repeat.
        addresses: IP addresses, as 16 bytes.
        written: Address -> how often it was written on purpose, into the data files.
        written_rejected: The same for the rejected rows.
        rejected_schema: Of the rejected rows, without their reasons.
    """

    names: Mapping[str, str]
    unsearched: Mapping[str, str]
    addresses: Set[bytes]
    written: Mapping[str, int]
    written_rejected: Mapping[str, int]
    rejected_schema: RowSchema


@dataclass(frozen=True)
class StagedDay:
    """Everything that is known about a day after its rows were read, judged and written.

    Attributes:
        dataset, window: What was exported.
        schema: The row schema as bound to the source's types.
        run_id: Dagster's run id.
        started_at: When work on the day began, UTC.
        duration_s: Seconds from `started_at` until all rows were staged.
        tally: Counts; final.
        files: Data files, as the manifest will describe them; their `path` is the staged name.
        quarantine: The rejected rows, or None.
        transformations: The transforms that were applied.
        source: Where the rows were read from.
        identity: The same, to notice another source; must not reach a manifest, log or metadata.
        staging: Holds the files.
        privacy: What the manifest says about the privacy policy; None without one.
        masked: What the policy removed; None without one.
        erasures: What was left out because of erasures.
        erased_subjects: Ids of the subjects that were looked for.
    """

    dataset: Dataset
    window: DayWindow
    schema: RowSchema
    run_id: str
    started_at: dt.datetime
    duration_s: float
    tally: Tally
    files: tuple[DataFile, ...]
    quarantine: FileFacts | None
    transformations: tuple[Transformation, ...]
    source: SourceInfo
    identity: SourceIdentity
    staging: Staging
    privacy: Privacy | None = None
    masked: MaskedValues | None = field(default=None, repr=False)
    erasures: tuple[Erasure, ...] = ()
    erased_subjects: frozenset[str] = frozenset()

    @property
    def data_version(self) -> str:
        """Content of the day as a hexadecimal sha256 over columns and data file hashes."""
        return data_version(self.schema, (file.sha256 for file in self.files))


def data_version(schema: RowSchema, hashes: Iterable[str]) -> str:
    """The `data_version` of a day.

    Args:
        schema: Of the exported rows; names, types and order count.
        hashes: sha256 of the data files, in their order.
    """
    content = {
        "columns": [(c.name, str(c.type), c.is_json) for c in schema.columns],
        "files": list(hashes),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
