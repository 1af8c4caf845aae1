"""Rows to bytes and back: one small self-describing class per format, and compression.

Belongs here: one module per format, found by its `name`.
Does not belong here: files and folders (`stores`), or changing what a row says (`transforms`).
docs/extending.md says how to add one.
"""

from __future__ import annotations

from exporter_pipelines.errors import UnknownFormatError
from exporter_pipelines.formats.compression import COMPRESSIONS, Compression
from exporter_pipelines.formats.contract import Format
from exporter_pipelines.formats.csv_table import CsvFormat
from exporter_pipelines.formats.json_document import JsonFormat
from exporter_pipelines.formats.jsonl import JsonlFormat
from exporter_pipelines.formats.parquet import ParquetFormat

_CLASSES: tuple[type[Format], ...] = (JsonlFormat, JsonFormat, CsvFormat, ParquetFormat)
FORMATS = {format_.name: format_ for format_ in _CLASSES}


def format_named(name: str) -> type[Format]:
    """The format class of a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is none; the message lists them.
    """
    if name not in FORMATS:
        raise UnknownFormatError("format", name, FORMATS)
    return FORMATS[name]


def compression_named(name: str) -> Compression:
    """The compression of a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is none; the message lists them.
    """
    if name not in COMPRESSIONS:
        raise UnknownFormatError("compression", name, COMPRESSIONS)
    return COMPRESSIONS[name]


def compression_of(file_name: str) -> Compression:
    """The compression that the end of a file's name says."""
    packed = (c for c in COMPRESSIONS.values() if c.suffix and file_name.endswith(c.suffix))
    return next(packed, COMPRESSIONS["none"])


def suffix_of(format_: str, compression: str) -> str:
    """The end of a file's name: `.jsonl.gz`, `.parquet`."""
    class_ = format_named(format_)
    return class_.suffix + compression_named(_outer(class_, compression)).suffix


def outer_compression(format_: str, compression: str) -> str:
    """The compression around a file: `none` for a format that packs itself."""
    return _outer(format_named(format_), compression)


def _outer(class_: type[Format], compression: str) -> str:
    return "none" if class_.packs_itself else compression
