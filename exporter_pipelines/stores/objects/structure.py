"""Looks for objects in a bucket that no export leaves."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from exporter_pipelines.contracts.structure import Misplaced
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.attempts import attempts_of
from exporter_pipelines.stores.objects.bucket import Bucket, Listed


def misplaced(bucket: Bucket, dataset: str, days: Collection[str]) -> list[Misplaced]:
    """What is below a dataset and belongs to no export.

    Args:
        bucket, dataset: Where to look.
        days: Its published days.
    """
    found = [
        _foreign(f"{dataset}/{name}", "is not a folder of an export")
        for name in bucket.folders(keys.home(dataset))
        if name not in keys.FOLDERS
    ]
    expected = {layout.day_name(day) for day in days}
    # A run that is publishing, or was killed, may have a view that the sweep has to correct.
    expected |= {layout.day_name(each.day) for each in attempts_of(bucket, dataset)}
    data = f"{dataset}/{layout.DATA}"
    found += [
        _foreign(f"{data}/{name}", "is not the copy of a published day")
        for name in bucket.folders(data)
        if name not in expected
    ]
    return found


def misplaced_quarantine(listed: Sequence[Listed], names: re.Pattern[str]) -> list[Misplaced]:
    """What is in the quarantine of a day and is not a file of an export."""
    return [
        _foreign(each.key, "is not a quarantine file of an export")
        for each in listed
        if not names.fullmatch(each.name)
    ]


def _foreign(path: str, message: str) -> Misplaced:
    return Misplaced("foreign", path, message, "Remove it.")
