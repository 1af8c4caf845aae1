"""The atomic switch that publishes a staged folder."""

from __future__ import annotations

import os
from pathlib import Path

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    exchange,
    make_folder,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.staging import LocalStaging


def exchange_days(staging: LocalStaging, *, keep_replaced: bool) -> None:
    """Publish the staged folder. The caller holds the day's lock.

    After an error that follows the exchange (syncing the parent folder failed), the new day is
    visible and complete, but may not be durable yet.

    Args:
        staging: Of the day.
        keep_replaced: Whether to keep the replaced day for weeks instead of an hour.

    Raises:
        OutputUnavailableError: the folder cannot be written.
    """
    target = layout.day_folder(staging.root, staging.dataset, staging.day)
    data = make_folder(staging.root, staging.dataset, layout.DATA)
    kind = layout.REPLACED if keep_replaced else layout.SUPERSEDED
    replaced = make_folder(staging.root, staging.dataset, kind) / staging.attempt
    with translate_os_errors(target):
        sync_folder(staging.folder)
        if target.is_symlink() or not target.exists():
            target.unlink(missing_ok=True)
            os.rename(staging.folder, target)
        else:
            exchange(staging.folder, target)
            _keep(staging, target, replaced, required=keep_replaced)
        sync_folder(data)


def _keep(staging: LocalStaging, target: Path, replaced: Path, *, required: bool) -> None:
    """Move the replaced day out of the staging area, with which it would be removed.

    If this fails, a day that is kept for its rows is published again. Otherwise the run must not
    fail, because the new day is published; readers of the old one may then find it removed.
    """
    try:
        os.utime(staging.folder)  # `cleanup` counts its age from now
        os.rename(staging.folder, replaced)
        if required:
            sync_folder(replaced.parent)
    except OSError:
        if required:
            exchange(staging.folder, target)
            raise
