"""What the engine hands to a store when it publishes or removes a day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter_pipelines.contracts.ledger import Entry

NewTombstone = Callable[[bytes | None, bytes | None], bytes]
"""(earlier tombstone, published manifest) -> tombstone, the record of a removed day; None: none."""


def generation_of(manifest: bytes | None) -> str | None:
    """The identity of a published export: a hash of its manifest, which no two runs share.

    Args:
        manifest: Its bytes as published; None when the day is not published.

    Returns:
        64 hexadecimal digits, or None.
    """
    return None if manifest is None else hashlib.sha256(manifest).hexdigest()


class GenerationChangedError(Exception):
    """Another run published or removed the day after this attempt began.

    The engine catches it and decides what to tell the user.

    Attributes:
        published: The manifest that is published now; None when the day was removed.
    """

    def __init__(self, published: bytes | None) -> None:
        super().__init__("the published day changed")
        self.published = published


@dataclass(frozen=True)
class Publication:
    """What is published together with the data files of a staged day.

    Attributes:
        manifest: Bytes of `_manifest.json`.
        entry: For the ledger. The store adds which generation was replaced, and by which.
        quarantine: Name of the staged file with the rejected rows; None when there are none.
        dataset_files: Makes name -> content of the files in the dataset's folder, card and schemas.
            They describe all days together, so the store calls it while no other process writes
            these files.
        fingerprint: `SourceInfo.fingerprint`; stored privately, to detect late data.
        keep_replaced: Whether the replaced export is kept for weeks instead of an hour.
        drop_replaced: Whether every earlier export of the day is removed at once, also those that
            are kept: they have what must not be read any more.
    """

    manifest: bytes
    entry: Entry
    quarantine: str | None = None
    dataset_files: Callable[[], Mapping[str, bytes]] = dict
    fingerprint: str | None = None
    keep_replaced: bool = False
    drop_replaced: bool = False
