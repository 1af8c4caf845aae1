"""Rejected rows, as they were read, each with its reasons."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa

from exporter_pipelines.contracts.row_schema import REASONS_COLUMN, Column, RowSchema
from exporter_pipelines.contracts.staged_day import FileFacts, Staging
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.engine.staged_file import StagedFile
from exporter_pipelines.errors import ExporterError, PublishedDayDamagedError
from exporter_pipelines.formats import compression_of, suffix_of
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.formats.jsonl import JsonlFormat
from exporter_pipelines.stores import layout

Reason = tuple[str, str | None, str | None]
"""Rule, column and value of a `Rejection`."""


class QuarantineWriter:
    """The quarantine file of one attempt; created with its first row.

    Always JSON Lines: a rejected row may not fit a stricter format.
    """

    def __init__(self, staging: Staging, name: str, compression: str, schema: RowSchema) -> None:
        self._file = StagedFile(
            staging, name + suffix_of("jsonl", compression), compression, private=True
        )
        reasons = Column(REASONS_COLUMN, pa.string(), nullable=False, required=True, is_json=True)
        self._format = JsonlFormat(replace(schema, columns=(*schema.columns, reasons)))

    def add(self, batch: pa.RecordBatch, rejections: Iterable[Rejection]) -> int:
        """Write the rejected rows of a batch.

        Args:
            batch: As read, before any transform.
            rejections: Their `row` is a position in `batch`.

        Returns:
            How many rows were rejected.
        """
        reasons: dict[int, tuple[Reason, ...]] = defaultdict(tuple)
        for row, rule, column, value in rejections:
            reasons[row] += ((rule, column, value),)
        if not reasons:
            return 0
        rows = sorted(reasons)
        # Most rows of a batch have the same few reasons.
        texts = {each: _json(each) for each in set(reasons.values())}
        rejected = batch.take(pa.array(rows)).append_column(
            REASONS_COLUMN, pa.array([texts[reasons[row]] for row in rows])
        )
        # Changes by the format are reported for exported rows only, so these are not counted.
        for piece in self._format.encode(rejected, Counter()):
            self._file.write(piece)
        return len(rows)

    def finish(self) -> FileFacts | None:
        """Close the file; None when no row was rejected."""
        return self._file.finish()


def lines_of(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of a quarantine file, with their line breaks.

    Args:
        file: Open; the caller closes it.
        name: Says how it is compressed.

    Raises:
        PublishedDayDamagedError: it cannot be unpacked.
    """
    try:
        with compression_of(name).open(file) as content:
            yield from content
    except (ExporterError, MemoryError):
        raise
    except Exception as error:  # every library has its own
        raise PublishedDayDamagedError(
            f"The rejected rows {name} cannot be unpacked ({type(error).__name__}).",
            "Export the day again.",
        ) from None


def _json(reasons: tuple[Reason, ...]) -> str:
    named = [{"rule": rule, "column": column, "value": value} for rule, column, value in reasons]
    return json.dumps(named, ensure_ascii=False)


def quarantine_pattern(dataset: str, day: str, *, folder: bool = False) -> re.Pattern[str]:
    """Matches names of quarantine files of a day, or (`folder`) their paths in the manifest."""
    suffixes = [compression.suffix for compression in COMPRESSIONS.values()]
    return layout.quarantine_pattern(dataset, day, suffixes, with_folder=folder)
