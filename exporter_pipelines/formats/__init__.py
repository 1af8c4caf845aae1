"""Rows to bytes and back: one small self-describing class per format, and compression.

Belongs here: one module per format, found by its `name`.
Does not belong here: files and folders (`stores`), or changing what a row says (`transforms`).
A format is added by writing its module and listing its class in `_FORMATS`.
"""

from __future__ import annotations

from exporter_pipelines.errors import UnknownFormatError
from exporter_pipelines.formats.compression import COMPRESSIONS, Compression
from exporter_pipelines.formats.jsonl import JsonlFormat

_FORMATS = {format_.name: format_ for format_ in (JsonlFormat,)}


def format_named(name: str) -> type[JsonlFormat]:
    """The format class of a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is none; the message lists them.
    """
    if name not in _FORMATS:
        raise UnknownFormatError("format", name, _FORMATS)
    return _FORMATS[name]


def compression_named(name: str) -> Compression:
    """The compression of a name in `defs.yaml`.

    Raises:
        UnknownFormatError: there is none; the message lists them.
    """
    if name not in COMPRESSIONS:
        raise UnknownFormatError("compression", name, COMPRESSIONS)
    return COMPRESSIONS[name]
