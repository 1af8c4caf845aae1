"""All bytes of an output folder, and what they are when they are unpacked."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow.parquet as pq
import zstandard


def everything_below(folder: Path) -> str:
    """All bytes of an output folder as text, unpacked, in lower case."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return "\n".join(unpacked(file.read_bytes()) for file in files)


def unpacked(data: bytes) -> str:
    """The bytes of a file and what they are when unpacked, in lower case."""
    texts = [data.decode("utf-8", "replace")]
    if data[:2] == b"\x1f\x8b":
        texts.append(gzip.decompress(data).decode("utf-8", "replace"))
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        texts.append(unpacked.decode("utf-8", "replace"))
    elif data[:4] == b"PAR1":
        table = pq.ParquetFile(io.BytesIO(data))
        texts.append(str(table.read().to_pylist()) + str(table.metadata.to_dict()))
    return "\n".join(texts).lower()
