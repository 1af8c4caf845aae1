"""The data files of a day: one, or several of at most `max_file_records` rows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import DataFile, Transformation
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import FileFacts, Staging
from exporter_pipelines.engine.staged_file import StagedFile
from exporter_pipelines.formats import format_named, outer_compression, suffix_of
from exporter_pipelines.formats.contract import Format
from exporter_pipelines.stores import layout


@dataclass
class _Part:
    """A data file and its facts; compressor and encoder are dropped when it is finished."""

    file: StagedFile | None
    format: Format | None
    rows: int = 0
    earliest: dt.datetime | None = None
    latest: dt.datetime | None = None
    facts: FileFacts | None = None

    def widen_span(self, earliest: dt.datetime, latest: dt.datetime) -> None:
        """Include these timestamps."""
        self.earliest = min(self.earliest or earliest, earliest)
        self.latest = max(self.latest or latest, latest)


class DataFiles:
    """Encodes, compresses, hashes and writes the valid rows of a day, split into files.

    May be used from another thread than the one that created it, but from one at a time.

    Attributes:
        changed: Change -> number of values that the format could not store as they were.
        nulls: Column -> nulls in the files. Both are final after `finish`.
    """

    def __init__(
        self,
        staging: Staging,
        dataset: Dataset,
        window: DayWindow,
        schema: RowSchema,
        *,
        is_slice: bool = False,
    ) -> None:
        self._staging, self._dataset, self._window = staging, dataset, window
        self._schema, self._is_slice = schema, is_slice
        self.changed: Counter[str] = Counter()
        self.nulls: Counter[str] = Counter()
        self._parts: list[_Part] = []
        self._open: _Part | None = None

    @property
    def transformations(self) -> tuple[Transformation, ...]:
        """The changes that the format makes to values."""
        return self._new_format().transformations

    def write(self, valid: pa.RecordBatch) -> None:
        """Append a batch."""
        limit = self._dataset.config.max_file_records
        while valid.num_rows:
            part = self._open = self._open or self._begin()
            rows = valid.slice(0, limit - part.rows if limit else None)
            valid = valid.slice(rows.num_rows)
            part.rows += rows.num_rows
            span = pc.min_max(rows[self._dataset.config.source.time_column]).as_py()
            part.widen_span(span["min"], span["max"])
            assert part.format is not None
            assert part.file is not None
            for data in part.format.encode(rows, self.changed):
                part.file.write(data)
            self.nulls.update(part.format.nulls(rows))
            if part.rows == limit:
                self._end(part)

    def finish(self) -> None:
        """End the part that is still open, if any; all files are on disk afterwards."""
        if self._open:
            self._end(self._open)

    def entries(self) -> tuple[DataFile, ...]:
        """The finished files, as the manifest describes them."""
        config = self._dataset.config
        return tuple(
            DataFile(
                path=part.facts.name,
                format=config.format,
                compression=config.compression,
                record_count=part.rows,
                size_bytes=part.facts.size_bytes,
                sha256=part.facts.sha256,
                min_timestamp=part.earliest,
                max_timestamp=part.latest,
            )
            for part in self._parts
            if part.facts
        )

    def _end(self, part: _Part) -> None:
        self._open = None
        assert part.format is not None
        assert part.file is not None
        for data in part.format.finish():
            part.file.write(data)
        part.facts = part.file.finish()
        part.format = part.file = None

    def _begin(self) -> _Part:
        config = self._dataset.config
        outer = outer_compression(config.format, config.compression)
        file = StagedFile(self._staging, self._name(), outer)
        self._parts.append(_Part(file, self._new_format()))
        return self._parts[-1]

    def _name(self) -> str:
        config = self._dataset.config
        return layout.data_file_name(
            self._dataset.name,
            self._window.day,
            suffix_of(config.format, config.compression),
            generation=self._staging.generation,
            part=len(self._parts) if config.max_file_records else None,
        )

    def _new_format(self) -> Format:
        config = self._dataset.config
        format_ = format_named(config.format)(self._schema, config.compression, self._header())
        return format_.continued() if self._is_slice else format_

    def _header(self) -> dict[str, Any]:
        window = self._window
        return {
            "dataset": self._dataset.name,
            "partition": window.day,
            "window": {
                "start": window.start.isoformat(),
                "end": window.end.isoformat(),
                "timezone": window.timezone,
            },
            "schema": [column.described() for column in self._schema.columns],
            "export_config": self._dataset.config.content_settings(),
        }
