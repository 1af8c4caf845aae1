"""Pages beside the exports, replaced in one step: a reader sees the old page or the new one."""

from __future__ import annotations

import secrets
from pathlib import Path

from exporter_pipelines.stores.local.files import make_folder, replace_file, sync_folder


def write_page(root: Path, page: Path, content: bytes) -> None:
    """Create or replace `page`, somewhere below `root`; durable when this returns.

    Raises:
        OutputUnavailableError: the disk refused; the old page stays.
    """
    folder = make_folder(root, *page.parent.relative_to(root).parts)
    new = folder / f".{page.name}.{secrets.token_hex(8)}"
    replace_file(page, new, content)
    sync_folder(folder)
