"""Reads the small files of a store: manifests, tombstones, fingerprints, dataset cards.

A file in the output folder may have been replaced by something else. A named pipe would block its
reader forever, a symbolic link could lead out of the folder, and a huge file would fill the memory.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from exporter_pipelines.stores.local.published_day import content_of, open_file, open_folder


def read_small_file(path: Path, root: Path | None = None) -> bytes | None:
    """The content of a regular file.

    Args:
        path: The file.
        root: A folder above it; no symbolic link below `root` is followed. By default the folder of
            the file.

    Returns:
        None when there is no such file. Empty bytes for anything that is not a regular file of at
        most `MAX_BYTES`: a folder, a symbolic link, a named pipe, a device; also for a file behind
        a symbolic link below `root`. No reader accepts an empty manifest, so it is treated as
        damaged.

    Raises:
        OSError: the file may not be read.
    """
    try:
        folder = open_folder(root or path.parent, path.parent)
        try:
            with open_file(folder, path.name, path.parent) as file:
                return content_of(file)
        finally:
            os.close(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # EINVAL: not a regular file. ENXIO: a socket.
        if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
            return b""
        raise
