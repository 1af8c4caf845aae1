"""Where tests keep databases and files: in memory, if there is room.

No test cuts the power, so nothing needs to reach a disk, and waiting for it would take a third of
the suite's time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_FOLDER = Path("/dev/shm")
_NEEDED_BYTES = 4 * 1024**3
"""Several times what four workers were seen to use. A container's 64 MiB are not enough."""


def memory_folder() -> str | None:
    """A folder in memory; None, which means the usual one for temporary files, without room."""
    has_room = _FOLDER.is_dir() and shutil.disk_usage(_FOLDER).free >= _NEEDED_BYTES
    return str(_FOLDER) if has_room else None
