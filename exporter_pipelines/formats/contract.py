"""What the engine asks of a format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import Data


class Format(ABC):
    """Rows to bytes and back, for one file of one schema.

    Attributes:
        name: In `defs.yaml` and the manifest.
        suffix: Of a file, before that of the compression.
        packs_itself: Whether the format compresses inside; the file is then not packed again and
            its suffix says nothing of it.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packs_itself: ClassVar[bool] = False

    def __init__(
        self,
        schema: RowSchema,
        compression: str = "none",
        header: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a file.

        Args:
            schema: Of the rows.
            compression: For a format that packs itself.
            header: What is known before the rows and is the same in every run.
        """
        self._schema = schema
        self._compression = compression
        self._header = header or {}
        self._begin()

    def _begin(self) -> None:  # noqa: B027 - most formats need nothing else
        """Prepare what a format needs besides."""

    @property
    def transformations(self) -> tuple[Transformation, ...]:
        """What the format does to values, for the manifest."""
        return ()

    @abstractmethod
    def encode(self, batch: pa.RecordBatch, changed: Counter[str]) -> Iterator[Data]:
        """The next bytes of the file, piece by piece.

        Args:
            batch: Valid rows in the schema's columns; may hold further ones, which are left out.
            changed: Is told, before the last piece, how many values the format could not hold as
                they were.
        """

    def finish(self) -> Iterator[Data]:
        """The last bytes of the file, piece by piece."""
        yield from ()

    @abstractmethod
    def decode(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        """The rows of an unpacked file that `encode` wrote, in bounded batches.

        Args:
            file: Readable, not empty; seekable when the format packs itself. The caller closes it.

        Returns:
            Batches in `schema.arrow`; JSON columns as text.
        """
