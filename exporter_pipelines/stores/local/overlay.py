"""Explains why a folder cannot be renamed: another file system, or an overlay.

An overlay file system shows a read-only lower layer and a writable upper layer as one; the files of
a container are usually on one. It cannot rename a folder of the lower layer, not even in place:
https://docs.kernel.org/filesystems/overlayfs.html#renaming-directories
"""

from __future__ import annotations

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def rename_hint(path: Path) -> str:
    """What to do after EXDEV, in one sentence.

    Args:
        path: What could not be renamed or replaced; it exists.
    """
    if _is_on_overlay(path):
        return (
            "The folder belongs to the read-only layer of an overlay file system (a container "
            "image), which cannot replace it. Put the output folder on a volume or a bind mount, "
            "and copy the exports there."
        )
    return (
        "All folders of a dataset must be on one file system. Mount the whole output folder, not a "
        "folder inside it."
    )


def _is_on_overlay(path: Path) -> bool:
    """Whether the folder of a path is on an overlay; False where this is not known."""
    try:
        device = os.lstat(path.parent).st_dev
        mounts = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # "36 35 98:0 /root /mount options... - type source options"
    return any(
        line.split()[2] == wanted and line.partition(" - ")[2].startswith("overlay ")
        for line in mounts
    )
