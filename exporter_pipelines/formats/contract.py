"""What the engine asks of a format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import Data


@dataclass(frozen=True)
class Export:
    """The published files of a dataset, for code that loads them.

    Attributes:
        name: Of the dataset, and of its folder in the output folder.
        schema: Of the rows.
        compression: As configured.
        files: Glob of the data files of all days, from the output folder.
    """

    name: str
    schema: RowSchema
    compression: str
    files: str


class Format(ABC):
    """Rows to bytes and back, for one file of one schema.

    Attributes:
        name: In `defs.yaml` and the manifest.
        suffix: Of a file, before that of the compression.
        packs_itself: Whether the format compresses inside; the file is then not packed again and
            its suffix says nothing of it.
        holds_json: Whether a JSON column is JSON in the file; otherwise it is text.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packs_itself: ClassVar[bool] = False
    holds_json: ClassVar[bool] = False

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

    @classmethod
    def loading_code(cls, export: Export) -> dict[str, str]:  # noqa: ARG003 - formats may give none
        """Python code that loads all days of a dataset, for the dataset card.

        A test runs all of it. Leave out readers that need more than a few lines for the format.

        Args:
            export: What to load. The code runs in the output folder and assigns the rows to a
                variable named like the dataset.

        Returns:
            Name of the reader -> code.
        """
        return {}

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
