"""The atomic switch that publishes a staged folder."""

from __future__ import annotations

import os
from contextlib import suppress

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import (
    exchange,
    make_folder,
    sync_folder,
    translate_os_errors,
)
from exporter_pipelines.stores.local.staging import LocalStaging


def exchange_days(staging: LocalStaging) -> None:
    """Publish the staged folder. The caller holds the day's lock.

    After an error that follows the exchange (syncing the parent folder failed), the new day is
    visible and complete, but may not be durable yet.

    Raises:
        OutputUnavailableError: the folder cannot be written.
    """
    target = layout.day_folder(staging.root, staging.dataset, staging.day)
    data = make_folder(staging.root, staging.dataset, layout.DATA)
    superseded = make_folder(staging.root, staging.dataset, layout.SUPERSEDED)
    with translate_os_errors(target):
        sync_folder(staging.folder)
        if target.is_symlink() or not target.exists():
            target.unlink(missing_ok=True)
            os.rename(staging.folder, target)
        else:
            exchange(staging.folder, target)
            # The new day is published, so the run must not fail if the old one cannot be kept
            # for readers. The old one is then removed with the staging area.
            with suppress(OSError):
                # `cleanup` counts its age from now; by its old time it would be removed at once.
                os.utime(staging.folder)
                os.rename(staging.folder, superseded / staging.attempt)
        sync_folder(data)
