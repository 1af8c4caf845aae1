"""The switch itself: the staged folder becomes the published day."""

from __future__ import annotations

import os
from contextlib import suppress

from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.files import exchange, explained, make_folder, sync_folder
from exporter_pipelines.stores.local.staging import LocalStaging


def exchange_days(staging: LocalStaging) -> None:
    """Make the staged folder the published day. Call it while the day's lock is held.

    An error after the exchange (a failed sync of the parent folder) leaves the new day visible
    and whole, but perhaps not yet durable.

    Raises:
        OutputUnavailableError: the disk refused.
    """
    target = layout.day_folder(staging.root, staging.dataset, staging.day)
    data = make_folder(staging.root, staging.dataset, layout.DATA)
    superseded = make_folder(staging.root, staging.dataset, layout.SUPERSEDED)
    with explained(target):
        sync_folder(staging.folder)
        if target.is_symlink() or not target.exists():
            target.unlink(missing_ok=True)
            os.rename(staging.folder, target)
        else:
            exchange(staging.folder, target)
            # The day is published, and no run may fail now because the old one could not be
            # kept for readers; it goes with the staging area then.
            with suppress(OSError):
                # Its grace begins now; under its old time another run would reap it at once.
                os.utime(staging.folder)
                os.rename(staging.folder, superseded / staging.attempt)
        sync_folder(data)
