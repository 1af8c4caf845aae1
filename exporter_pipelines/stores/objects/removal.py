"""Removes published days, rejected rows and replaced exports, and writes tombstones."""

from __future__ import annotations

import datetime as dt
import secrets

from exporter_pipelines.contracts.publication import GenerationChangedError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys, quarantine
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.pointers import Pointer, read_pointer, switch
from exporter_pipelines.stores.objects.view import View


def remove_day(bucket: Bucket, view: View, dataset: str, day: str, published: Pointer) -> bool:
    """Remove a published day; False when it was published again in the meantime.

    A removal is an attempt that publishes nothing: the files of the day stay for their readers
    until the sweep removes them.
    """
    attempt, key = secrets.token_hex(8), keys.pointer(dataset, day)
    own = keys.attempt(dataset, day, attempt, published.attempt)
    bucket.write(own, b"{}")
    try:
        switch(bucket, key, published, Pointer(attempt=attempt))
    except GenerationChangedError:
        bucket.remove([own])
        return False
    view.withdraw(dataset, day, attempt, published)
    drop_fingerprints(
        bucket, dataset, day, older_than=published.modified or dt.datetime.now(dt.UTC), keep=None
    )
    return True


def remove_quarantine(bucket: Bucket, dataset: str, day: str, published: Pointer) -> None:
    """Remove the rejected rows of a day, without a grace period."""
    files = quarantine.ended(bucket, dataset, day, published)
    bucket.remove([each.key for each in files])


def drop_fingerprints(
    bucket: Bucket, dataset: str, day: str, *, older_than: dt.datetime, keep: str | None
) -> None:
    """Remove the fingerprints of a day, except that of a generation.

    A newer one may be of an attempt that is about to publish.
    """
    found = bucket.listed(keys.fingerprints(dataset, day))
    old = [each for each in found if each.modified <= older_than and each.name != keep]
    bucket.remove([each.key for each in old])


def replaced_exports(bucket: Bucket, dataset: str) -> list[tuple[str, str]]:
    """(day, name) of the replaced exports that are kept for their rows, oldest day first."""
    # By their objects: seaweedfs also lists folders that are empty by now.
    listed = bucket.listed(keys.replaced(dataset))
    names = [each.key.split("/")[-2] for each in listed if each.name == keys.POINTER_COPY]
    return [(layout.day_of_attempt(name), name) for name in names if layout.is_of_one_day(name)]


def remove_replaced(bucket: Bucket, dataset: str, name: str) -> bool:
    """Remove a replaced export; False when it is gone."""
    folder, day = keys.replaced(dataset, name), layout.day_of_attempt(name)
    listed = bucket.listed(folder)
    copy = Pointer.of(bucket.read(f"{folder}/{keys.POINTER_COPY}"))
    if not listed or not copy.attempt:
        return False
    published = read_pointer(bucket, keys.pointer(dataset, day))
    garbage = [each.key for each in listed]
    if copy.attempt != published.attempt:
        generation = keys.generation(dataset, day, copy.attempt)
        garbage = [*(each.key for each in bucket.listed(generation)), *garbage]
        if rejected := quarantine.named_by(copy):  # the run that replaced it may not have moved it
            garbage = [f"{keys.quarantine(dataset, day)}/{rejected}", *garbage]
    bucket.remove(garbage)
    return True
