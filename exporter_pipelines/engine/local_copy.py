"""A temporary copy of a file of a remote store, for who reads it more than once."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from exporter_pipelines.engine.hashing import size_and_sha256
from exporter_pipelines.stores.local.files import translate_os_errors

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class HashedFile:
    """An open file and what is in it.

    Attributes:
        file: At its beginning; the caller closes it.
        size_bytes: Of the content.
        sha256: Of the content, hexadecimal.
    """

    file: BinaryIO
    size_bytes: int
    sha256: str


def local_copy(file: BinaryIO) -> HashedFile:
    """Copy the rest of an open file, hashing it on the way. A killed process leaves no copy.

    Raises:
        OutputUnavailableError: there is no room for temporary files, or the store cannot be read.
    """
    copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="exporter-"))  # noqa: SIM115 - returned
    size, digest = 0, hashlib.sha256()
    try:
        while piece := file.read(_PIECE_BYTES):
            with translate_os_errors(Path(tempfile.gettempdir())):
                copy.write(piece)
            size += len(piece)
            digest.update(piece)
        with translate_os_errors(Path(tempfile.gettempdir())):
            copy.seek(0)  # writes what is buffered
    except BaseException:  # raised again; no one else has the file to close it
        copy.close()
        raise
    return HashedFile(copy, size, digest.hexdigest())


@contextmanager
def hashed(file: BinaryIO, *, is_remote: bool) -> Iterator[HashedFile]:
    """A file that is read twice: itself, or a local copy if it is remote."""
    if is_remote:
        copy = local_copy(file)
        with copy.file:
            yield copy
        return
    size, sha256 = size_and_sha256(file)
    file.seek(0)
    yield HashedFile(file, size, sha256)
