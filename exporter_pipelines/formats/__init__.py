"""File formats and compression: encode rows as bytes, and decode them.

Belongs here: one module with one class per format.
Does not belong here: files and folders (`stores`), changing the content of rows (`transforms`).
To add a format, write its module and add its class to `_CLASSES`; see docs/extending.md.
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
    """The format class for a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is no such format; the message lists all.
    """
    if name not in FORMATS:
        raise UnknownFormatError("format", name, FORMATS)
    return FORMATS[name]


def compression_named(name: str) -> Compression:
    """The compression for a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is no such compression; the message lists all.
    """
    if name not in COMPRESSIONS:
        raise UnknownFormatError("compression", name, COMPRESSIONS)
    return COMPRESSIONS[name]


def compression_of(file_name: str) -> Compression:
    """The compression of a file, by the suffix of its name."""
    packed = (c for c in COMPRESSIONS.values() if c.suffix and file_name.endswith(c.suffix))
    return next(packed, COMPRESSIONS["none"])


def suffix_of(format_: str, compression: str) -> str:
    """The suffix of a file's name: `.jsonl.gz`, `.parquet`."""
    class_ = format_named(format_)
    return class_.suffix + compression_named(_outer(class_, compression)).suffix


def outer_compression(format_: str, compression: str) -> str:
    """The compression of the whole file: `none` for a format that compresses its content."""
    return _outer(format_named(format_), compression)


def _outer(class_: type[Format], compression: str) -> str:
    return "none" if class_.packs_itself else compression
