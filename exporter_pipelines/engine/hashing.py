"""Size and sha256 of an open file."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

_PIECE_BYTES = 1024 * 1024


def size_and_sha256(file: BinaryIO) -> tuple[int, str]:
    """Bytes and hexadecimal sha256 of the rest of an open file, which is read to its end."""
    size, digest = 0, hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


def size_of(file: BinaryIO) -> int:
    """Bytes of an open file, which is at its beginning afterwards."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
