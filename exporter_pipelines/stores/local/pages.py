"""Pages beside the exports, replaced in one step: a reader sees the old page or the new one."""

from __future__ import annotations

import secrets
from pathlib import Path

from exporter_pipelines.stores.local.files import make_folder, replace_file, sync_folder

REPORT_FOLDER = "report"
"""Beside the datasets' folders; no dataset may have this name."""


def report_page(root: Path, day: str) -> Path:
    """Where the report of a day lies."""
    return root / REPORT_FOLDER / f"date={day}" / f"export-report-{day}.html"


def report_index(root: Path) -> Path:
    """Where the newest report lies, always."""
    return root / REPORT_FOLDER / "index.html"


def write_page(root: Path, page: Path, content: bytes) -> None:
    """Create or replace `page`, somewhere below `root`; durable when this returns.

    Raises:
        OutputUnavailableError: the disk refused; the old page stays.
    """
    folder = make_folder(root, *page.parent.relative_to(root).parts)
    new = folder / f".{page.name}.{secrets.token_hex(8)}"
    replace_file(page, new, content)
    sync_folder(folder)
