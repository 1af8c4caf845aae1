"""An output folder that is only read: days are staged in another folder, and never published."""

from __future__ import annotations

import hashlib
from pathlib import Path

from exporter_pipelines.stores.local.marker import read_marker
from exporter_pipelines.stores.local.staging import LocalStaging
from exporter_pipelines.stores.local.store import LocalStore


class ReadOnlyStore(LocalStore):
    """A `LocalStore` whose methods for judging a day write nothing below its root.

    Args:
        root: The output folder; need not exist.
        scratch: Where days are staged; the caller removes it.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        super().__init__(root)
        self._scratch = scratch

    def begin(self, dataset: str, day: str) -> LocalStaging:
        """See `contracts.store.Store`."""
        self.day_folder(dataset, day)  # raises for invalid names
        return LocalStaging(self._scratch, dataset, day)

    def salted(self, text: str) -> str:
        """See `contracts.store.Store`. Without a marker there is nothing to compare with."""
        marker = read_marker(self.root)
        salt = marker.salt if marker else ""
        return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:32]
