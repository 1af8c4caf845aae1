"""HTML pages next to the exports, replaced atomically: a reader sees the old or the new page."""

from __future__ import annotations

import secrets
from pathlib import Path

from exporter_pipelines.stores.local.files import make_folder, replace_file, sync_folder


def write_page(root: Path, page: Path, content: bytes) -> None:
    """Create or replace `page`, which is below `root`; durable when this returns.

    Raises:
        OutputUnavailableError: the page cannot be written; the old one stays.
    """
    folder = make_folder(root, *page.parent.relative_to(root).parts)
    new = folder / f".{page.name}.{secrets.token_hex(8)}"
    replace_file(page, new, content)
    sync_folder(folder)
