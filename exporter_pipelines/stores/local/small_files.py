"""Reads the small files of a store: manifests, tombstones, fingerprints, dataset cards.

A file in the output folder may have been replaced by something else. A named pipe would block its
reader forever, a symbolic link could lead out of the folder, and a huge file would fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 256 * 1024 * 1024
"""A manifest takes about 500 bytes for each data file: enough for half a million files a day."""


def read_small_file(path: Path) -> bytes | None:
    """The content of a regular file.

    Returns:
        None when there is no such file. Empty bytes for anything that is not a regular file of at
        most `MAX_BYTES`: a folder, a symbolic link, a named pipe, a device. No reader accepts an
        empty manifest, so it is treated as damaged.

    Raises:
        OSError: the file may not be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A socket, or a symbolic link; too many links in the folders above are the caller's matter.
        if error.errno == errno.ENXIO or (error.errno == errno.ELOOP and path.is_symlink()):
            return b""
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES:
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
