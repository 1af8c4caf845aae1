"""The file that marks a folder as an output folder and identifies it.

A folder without it is empty, was written by version 0.1.0, or is not the output folder at all: the
disk may not be mounted. Mode 0600, because of the salt.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    NewFile,
    make_folder,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.small_files import read_small_file


def read_marker(root: Path) -> OutputMarker | None:
    """The marker of a folder; None when it has none.

    Raises:
        OutputUnavailableError: it cannot be read, or is damaged.
    """
    path = root / layout.MARKER
    with translate_os_errors(path, "read"):
        data = read_small_file(path, root)
    return None if data is None else OutputMarker.read(data, str(path))


def create_marker(root: Path) -> OutputMarker:
    """The marker of a folder, which is created if there is none.

    Raises:
        OutputUnavailableError: it cannot be written, or is damaged.
    """
    if marker := read_marker(root):
        return marker
    make_folder(root)
    new = OutputMarker.new()
    scratch, path = root / f"{layout.MARKER}.{secrets.token_hex(8)}", root / layout.MARKER
    with NewFile(scratch, private=True) as file:
        file.write(new.to_json())
    try:
        with translate_os_errors(path):
            os.link(scratch, path)  # fails if another process was faster
    except OutputUnavailableError:
        if not path.exists():
            raise
    finally:
        scratch.unlink()
    sync_folder(root)
    return read_marker(root) or new
