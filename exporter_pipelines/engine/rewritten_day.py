"""The files and the manifest of a day that is written again without subjects.

Files without a subject are copied. The others are decoded, and written by the same encoder, so the
bytes of all other rows stay as they were.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections import Counter
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.erasure import Erasure, merged
from exporter_pipelines.contracts.manifest import DataFile, Manifest, Quarantine
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.staged_day import Staging, data_version
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.tally import completeness_pct
from exporter_pipelines.engine.erase_rejected import quarantined
from exporter_pipelines.engine.erased_rows import uncount_values
from exporter_pipelines.engine.load import decoded, row_schema, source_column
from exporter_pipelines.engine.rewritten_addresses import addresses_in
from exporter_pipelines.engine.staged_file import StagedFile
from exporter_pipelines.engine.verified_files import verified_files
from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.formats import (
    compression_named,
    compression_of,
    format_named,
    outer_compression,
    suffix_of,
)
from exporter_pipelines.formats.contract import Format
from exporter_pipelines.privacy.erasing import Erased, Erasing
from exporter_pipelines.stores import layout

_PIECE_BYTES = 1024 * 1024
_PART = re.compile(r"\.part-\d{5,}\.")


class RewrittenDay:
    """One day while it is written again.

    Attributes:
        exported: What was erased from the data files.
        rejected: What was erased from the rejected rows.
        quarantine: The new quarantine file; None without one.
    """

    def __init__(
        self, store: Store, manifest: Manifest, staging: Staging, erasing: Erasing
    ) -> None:
        self._store, self._before, self._staging = store, manifest, staging
        self._erasing, self._schema = erasing, row_schema(manifest)
        self._time = source_column(manifest, "time_column")
        self.exported, self.rejected = Erased(), Erased()
        self.quarantine: Quarantine | None = None
        self._quarantine_is_gone = False
        self._files: list[DataFile] = []
        self._nulls: Counter[str] = Counter(dict.fromkeys(self._schema.names, 0))
        self._addresses = 0
        self._values = {
            name: value
            for name, value in manifest.data_quality_metrics.items()
            if name.startswith("values.")
        }

    @property
    def quarantine_name(self) -> str | None:
        """Name of the new quarantine file."""
        return self.quarantine.path.rpartition("/")[2] if self.quarantine else None

    def write(self, day: PublishedDay) -> None:
        """Write all files into the staging area; `day` is closed."""
        files = verified_files(day, self._before)
        try:
            for entry, file in files:
                self._write_file(entry, file)
        finally:
            files.close()
        if self._before.quarantine:
            self._write_quarantine(self._before.quarantine)

    def _write_file(self, entry: DataFile, file: BinaryIO) -> None:
        erased = Erased()
        for batch in decoded(_again(file), entry, self._schema):
            self._erasing.erase(batch, self._schema, erased)
        name = self._new_name(entry)
        if not erased:
            self._copy(entry, file, name)
            return
        self.exported.add(erased)
        header = _header_of(_again(file), entry)
        format_ = format_named(entry.format)(self._schema, entry.compression, header)
        outer = outer_compression(entry.format, entry.compression)
        staged = StagedFile(self._staging, name, outer)
        rows, first, last = 0, None, None
        for batch in decoded(_again(file), entry, self._schema):
            kept, removed = self._erasing.erase(batch, self._schema, Erased())
            self._uncount(removed)
            self._count(kept, format_)
            if len(kept):
                rows += len(kept)
                span = pc.min_max(kept[self._time]).as_py()
                first = min(first or span["min"], span["min"])
                last = max(last or span["max"], span["max"])
                for data in format_.encode(kept, Counter()):
                    staged.write(data)
        if not rows:
            return
        for data in format_.finish():
            staged.write(data)
        facts = staged.finish()
        assert facts is not None
        changes = {
            "path": facts.name,
            "record_count": rows,
            "size_bytes": facts.size_bytes,
            "sha256": facts.sha256,
            "min_timestamp": first,
            "max_timestamp": last,
        }
        self._files.append(entry.model_copy(update=changes))

    def _copy(self, entry: DataFile, file: BinaryIO, name: str) -> None:
        format_ = format_named(entry.format)(self._schema, entry.compression)
        for batch in decoded(_again(file), entry, self._schema):
            self._count(batch, format_)
        file.seek(0)
        copy = self._staging.create(name)
        while piece := file.read(_PIECE_BYTES):
            copy.write(piece)
        copy.close()
        self._files.append(entry.model_copy(update={"path": name}))

    def _count(self, rows: pa.RecordBatch, format_: Format) -> None:
        self._nulls.update(format_.nulls(rows))
        if self._before.privacy is not None:
            self._addresses += addresses_in(rows, self._schema, self._before.privacy)

    def _uncount(self, removed: pa.RecordBatch) -> None:
        """Take the values of removed rows out of the metrics."""
        counts: Counter[tuple[str, str]] = Counter()
        for name, value in self._values.items():
            column, _, of = name.removeprefix("values.").partition(".")
            counts[column, of] = int(value)
        uncount_values(removed, counts)
        self._values.update({f"values.{c}.{of}": count for (c, of), count in counts.items()})

    def _new_name(self, entry: DataFile) -> str:
        """As `engine.data_files` names it: a part has the generation in its name."""
        part = len(self._files) if _PART.search(entry.path) else None
        return layout.data_file_name(
            self._before.dataset,
            self._before.partition,
            suffix_of(entry.format, entry.compression),
            generation=self._staging.generation,
            part=part,
        )

    def _write_quarantine(self, before: Quarantine) -> None:
        name = before.path.rpartition("/")[2]
        compression = compression_of(name)
        stem = layout.quarantine_stem(
            self._before.dataset, self._before.partition, self._before.run.run_id,
            self._staging.generation,
        )  # fmt: skip
        new = stem + suffix_of("jsonl", compression.name)
        staged, rows = StagedFile(self._staging, new, compression.name, private=True), 0
        try:
            for line in quarantined(self._store, self._before, self._erasing, self.rejected):
                staged.write(line)
                rows += 1
        except FileNotFoundError:
            # Retention has removed it; the manifest still says that there was one.
            self.quarantine, self._quarantine_is_gone = None, True
            return
        facts = staged.finish()
        if facts is not None:
            self.quarantine = Quarantine(
                path=layout.quarantine_path(self._before.partition, facts.name),
                record_count=rows,
                sha256=facts.sha256,
            )

    def manifest(self, request: str, at: dt.datetime) -> Manifest:
        """The manifest of the new export.

        Args:
            request: Id of the request.
            at: When it was recorded.
        """
        before = self._before
        rows = sum(file.record_count for file in self._files)
        quarantine = before.quarantine if self._quarantine_is_gone else self.quarantine
        rejected = quarantine.record_count if quarantine else 0
        removed = self.exported.rows.total() + self.rejected.rows.total()
        erasure = Erasure(request=request, rows=removed, values=self.exported.values.total(), at=at)
        counts = before.counts.model_copy(
            update={
                "exported": rows,
                "rejected": rejected,
                "erased": before.counts.erased + removed,
            }
        )
        columns = [
            column.model_copy(
                update={
                    "null_count": self._nulls[column.name],
                    "nullable": column.nullable or self._nulls[column.name] > 0,
                }
            )
            for column in before.columns
        ]
        changes: dict[str, Any] = {
            # Retention compares it with the time at which it removed the rejected rows.
            "export_timestamp": before.export_timestamp if self._quarantine_is_gone
            else dt.datetime.now(dt.UTC),
            "data_version": data_version(self._schema, (file.sha256 for file in self._files)),
            "record_count": rows,
            "file_size": sum(file.size_bytes for file in self._files),
            "files": self._files,
            "counts": counts,
            "quarantine": quarantine,
            "columns": columns,
            "data_quality_metrics": self._metrics(rows, rejected),
            "privacy": self._privacy(),
            "erasure": merged([*before.erasure, erasure]),
        }  # fmt: skip
        return before.model_copy(update=changes).sealed()

    def _metrics(self, rows: int, rejected: int) -> dict[str, float | int]:
        before, read = self._before.data_quality_metrics, self._before.counts.read
        metrics = {
            name: value for name, value in before.items() if not name.startswith("completeness_pct")
        }
        rejected_pct = 100 * rejected / read if read else 0.0
        metrics |= {
            "rejected_pct": round(rejected_pct, 4),
            "validity_pct": round(100 - rejected_pct, 4),
            **self._values,
        }
        if rows:
            cells = rows * max(len(self._nulls), 1)
            metrics["completeness_pct"] = completeness_pct(self._nulls.total(), cells)
            for column, nulls in self._nulls.items():
                metrics[f"completeness_pct.{column}"] = completeness_pct(nulls, rows)
        return metrics

    def _privacy(self) -> object:
        privacy = self._before.privacy
        if privacy is None or privacy.leak_check is None:
            return privacy
        check = privacy.leak_check.model_copy(update={"addresses": self._addresses})
        return privacy.model_copy(update={"leak_check": check})


def _again(file: BinaryIO) -> BinaryIO:
    """The same file from its beginning, through a descriptor that a reader may close."""
    copy = os.fdopen(os.dup(file.fileno()), "rb")
    copy.seek(0)
    return copy


def _header_of(file: BinaryIO, entry: DataFile) -> dict[str, Any]:
    """The metadata at the beginning of a document; empty for formats without it."""
    if entry.format != "json":
        return {}
    outer = compression_named(outer_compression(entry.format, entry.compression))
    with outer.open(file) as content:
        first = content.readline()
    try:
        header: dict[str, Any] = json.loads(first + b"]}")["export_metadata"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PublishedDayDamagedError(
            f"{entry.path} does not begin as an export does.", "Export the day again."
        ) from None
    return header
