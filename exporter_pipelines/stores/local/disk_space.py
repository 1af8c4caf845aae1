"""Explains a full disk: how many bytes are needed, how many are free, and where.

Belongs here: the hint of an error about disk space. Does not belong here: checks before writing,
because another process may use the free space in between.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers that `space_hint` explains."""


def space_hint(path: Path, error: int, needed: int, in_file: int) -> str:
    """One sentence: the needed and the free bytes, and what to do next.

    Args:
        path: What could not be written; it need not exist.
        error: One of `NO_SPACE`.
        needed: Bytes that were not written yet; 0 for a folder or a rename.
        in_file: Size of the file once they are written.
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
        return "Free some disk space and run the day again."
    if room.f_files and not room.f_favail and room.f_bavail:
        return (
            f"{mount} has free space but no free inodes (0 of {room.f_files:,}), so no file can be "
            "created. Remove files there and run the day again."
        )
    quota = ", but this user's quota is used up" if error == errno.EDQUOT else ""
    free = room.f_bavail * room.f_frsize
    return (
        f"At least {needed or room.f_frsize:,} more bytes are needed and {free:,} bytes are free "
        f"in {mount}{quota}. Free some disk space and run the day again."
    )


def _mount_of(path: Path) -> Path:
    while not os.path.ismount(path) and path != path.parent:
        path = path.parent
    return path
