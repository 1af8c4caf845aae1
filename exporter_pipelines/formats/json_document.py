"""JSON: one document per file, `{"export_metadata": {...}, "data": [...]}`, streamed.

The rows are encoded as in JSON Lines, one per line. `export_metadata` has only metadata that is
known before the rows and is the same in every run: dataset, window, schema, and settings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, cast

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.formats.bucket_snippets import bucket_templates, place_values, rows_of
from exporter_pipelines.formats.contract import Export, Format
from exporter_pipelines.formats.jsonl import JsonlFormat
from exporter_pipelines.formats.snippets import (
    ROWS_TO_ARROW,
    filled,
    literals,
    through_arrow,
)

_ROWS = 'json.loads(pa.input_stream(file).read())["data"]'


class JsonFormat(Format):
    """See `formats.contract.Format`."""

    name: ClassVar[str] = "json"
    suffix: ClassVar[str] = ".json"
    media_type: ClassVar[str] = "application/json"
    holds_json: ClassVar[bool] = True

    @classmethod
    def loading_code(cls, export: Export) -> dict[str, str]:
        """See `formats.contract.Format`."""
        code = {
            **through_arrow(ROWS_TO_ARROW, "pandas", "polars", "duckdb"),
            "pyarrow": ROWS_TO_ARROW,
            **through_arrow(ROWS_TO_ARROW, "datasets"),
        }
        return filled(
            bucket_templates(ROWS_TO_ARROW) if export.bucket else code,
            **place_values(export),
            rows=rows_of(export, _ROWS),
            json=literals(export.schema.json_columns),
        )

    def _begin(self) -> None:
        self._lines = JsonlFormat(self._schema)
        self._started, self._end_of_row = False, b""

    @property
    def transformations(self) -> tuple[Transformation, ...]:
        """See `formats.contract.Format`."""
        return self._lines.transformations

    def encode(self, batch: pa.RecordBatch, changed: Counter[str]) -> Iterator[Data]:
        """See `formats.contract.Format`."""
        for piece in self._lines.encode(batch, changed):
            if not self._started:
                self._started = True
                yield self._head()
            # Each newline ends a row, since newlines in text are escaped. The last one is held
            # back, because it needs a comma only if another row follows.
            rows = b"".join([self._end_of_row, piece])
            self._end_of_row = b"\n" if rows.endswith(b"\n") else b""
            yield rows.removesuffix(b"\n").replace(b"\n", b",\n")

    def nulls(self, batch: pa.RecordBatch) -> Counter[str]:
        """See `formats.contract.Format`."""
        return self._lines.nulls(batch)

    def finish(self) -> Iterator[Data]:
        """See `formats.contract.Format`."""
        if self._started:
            yield b"\n]}\n"

    def decode(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        """See `formats.contract.Format`."""
        # `JsonlFormat.decode` only calls `read`.
        yield from self._lines.decode(cast("BinaryIO", _RowLines(file)))

    def _head(self) -> bytes:
        return (
            b'{"export_metadata": '
            + json.dumps(self._header, ensure_ascii=False).encode()
            + b', "data": [\n'
        )


class _RowLines:
    """Reads a document as JSON Lines: without its first and last line, and without commas."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.readline()

    def read(self, size: int) -> bytes:
        lines = self._file.readlines(size)
        if lines and lines[-1] == b"]}\n":
            lines.pop()
        return b"".join(lines).replace(b",\n", b"\n")
