"""What a disk that is full lacks: how much is needed, how much is free, and where.

Belongs here: the hint of an error about room. Does not belong here: checking beforehand; what is
free can be gone a moment later, so only the failing call knows.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that this module explains."""


def what_is_lacking(path: Path, error: int, needed: int, in_file: int) -> str:
    """Needed and free bytes, and what to do next: one sentence.

    Args:
        path: What could not be written; it need not exist.
        error: One of `FULL`.
        needed: Bytes that were still to be written; 0 for a folder or a name.
        in_file: Bytes of the file up to and with those.
    """
    if error == errno.EFBIG:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        allowed = f" and {limit:,} are allowed (ulimit -f)" if limit >= 0 else ""
        return (
            f"At least {in_file:,} bytes are needed in one file{allowed}; raise the limit, or set "
            "`max_file_records` to write several files."
        )
    mount = _mount_of(path)
    try:
        room = os.statvfs(mount)
    except OSError:
        return "Make room and run the day again."
    if room.f_files and not room.f_favail and room.f_bavail:
        return (
            f"{mount} has room for bytes but no file can be created (0 of {room.f_files:,} inodes "
            "are free); remove files there and run the day again."
        )
    quota = " for everybody; this user's quota is used up" if error == errno.EDQUOT else ""
    free = room.f_bavail * room.f_frsize
    return (
        f"At least {needed or room.f_frsize:,} more bytes are needed and {free:,} bytes are free "
        f"in {mount}{quota}; make room and run the day again."
    )


def _mount_of(path: Path) -> Path:
    while not os.path.ismount(path) and path != path.parent:
        path = path.parent
    return path
