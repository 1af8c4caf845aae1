"""A store that is only read: days are staged in a local folder, and never published."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

from exporter_pipelines.contracts.store import Store
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.staging import LocalStaging


def read_only(store: Store, scratch: Path) -> Store:
    """A store whose methods for judging a day write nothing to the exports.

    Args:
        store: The exports; need not exist.
        scratch: Where days are staged; the caller removes it.
    """
    return cast(Store, _ReadOnly(store, scratch))


class _ReadOnly:
    """All methods of a store, of which two do something else."""

    def __init__(self, store: Store, scratch: Path) -> None:
        self._store, self._scratch = store, scratch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def begin(self, dataset: str, day: str) -> LocalStaging:
        """See `contracts.store.Store`."""
        layout.day_folder(self._scratch, dataset, day)  # raises for invalid names
        return LocalStaging(self._scratch, dataset, day)

    def salted(self, text: str) -> str:
        """See `contracts.store.Store`. Without a marker there is nothing to compare with."""
        marker = self._store.read_marker()
        salt = marker.salt if marker else ""
        return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()[:32]
