"""The interface of a format."""

from __future__ import annotations

import keyword
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Self

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import Data


@dataclass(frozen=True)
class Export:
    """The published files of a dataset, as `Format.loading_code` needs them.

    Attributes:
        name: Of the dataset, and of its folder in the output folder.
        schema: Of the rows.
        compression: As configured.
        files: Glob pattern of the data files of all days, relative to the output folder.
        bucket: URL of the output if it is in a bucket, without credentials; else empty.
    """

    name: str
    schema: RowSchema
    compression: str
    files: str
    bucket: str = ""

    @property
    def variable(self) -> str:
        """The name of the dataset as a Python variable: `class` becomes `class_`."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name


class Format(ABC):
    """Encodes rows as bytes and decodes them, for one file with one schema.

    Attributes:
        name: In `defs.yaml` and the manifest.
        suffix: Of a file, before that of the compression.
        packs_itself: Whether the format compresses its own content. The file is then not compressed
            again, and its name has no suffix for the compression.
        holds_json: Whether JSON columns are stored as JSON; otherwise as text.
        media_type: Of an uncompressed file that is downloaded.
        joins: Whether files of slices of a day, one after another, are one file. Then `head` begins
            it, and the others are written by formats that are `continued`.
        croissant: Media type of a file in `croissant.json`; empty if its readers know none.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packs_itself: ClassVar[bool] = False
    holds_json: ClassVar[bool] = False
    media_type: ClassVar[str] = "application/octet-stream"
    joins: ClassVar[bool] = False
    croissant: ClassVar[str] = ""

    def __init__(
        self,
        schema: RowSchema,
        compression: str = "none",
        header: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a file.

        Args:
            schema: Of the rows.
            compression: For a format that compresses its own content.
            header: Metadata that is known before the rows and is the same in every run.
        """
        self._schema = schema
        self._compression = compression
        self._header = header or {}
        self._begin()

    def _begin(self) -> None:  # noqa: B027 - most formats need nothing else
        """Initialize the state of a format."""

    def head(self) -> bytes:
        """The first bytes of a file that `joins`, before the first row."""
        return b""

    def continued(self) -> Self:
        """This format without its head, for a file that continues another one."""
        return self

    @classmethod
    def loading_code(cls, export: Export) -> dict[str, str]:  # noqa: ARG003 - formats may give none
        """Python code that loads all days of a dataset, for the dataset card.

        A test runs this code, also with hostile names of columns. Each reader must give the
        exported columns and no others.

        Args:
            export: The files to load; at least one exists. The code runs in the output folder, or
                anywhere if the output is in a bucket, and assigns the rows to `export.variable`.

        Returns:
            Name of the reader -> code.
        """
        return {}

    @property
    def transformations(self) -> tuple[Transformation, ...]:
        """How the format changes values, for the manifest."""
        return ()

    @abstractmethod
    def encode(self, batch: pa.RecordBatch, changed: Counter[str]) -> Iterator[Data]:
        """Encode a batch; yields the next bytes of the file in pieces.

        Args:
            batch: Valid rows. Columns that are not in the schema are left out.
            changed: Counter of values that the format cannot store unchanged, by kind of change. It
                is updated before the last piece is yielded.
        """

    def finish(self) -> Iterator[Data]:
        """End the file; yields its last bytes in pieces."""
        yield from ()

    def nulls(self, batch: pa.RecordBatch) -> Counter[str]:
        """Column -> values of a batch that are null in the file, for the columns of the schema.

        A format that writes other values as null counts them as well, so that manifest and schema
        describe what `decode` and all other readers find.
        """
        return Counter({name: batch[name].null_count for name in self._schema.names})

    @abstractmethod
    def decode(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        """Decode an uncompressed file that `encode` wrote, in batches of limited size.

        Args:
            file: Readable and not empty; seekable if the format `packs_itself`. The caller closes
                it.

        Returns:
            Batches with the schema `schema.arrow`; JSON columns are text.
        """
