"""The engine's interface to a transform."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import pyarrow as pa

from exporter_pipelines.contracts.manifest import Transformation


class Transform(Protocol):
    """A change to a batch: same rows, same columns, same types."""

    @property
    def applied(self) -> Transformation:
        """Name, version and parameters, for the manifest."""
        ...

    def __call__(self, batch: pa.RecordBatch, changed: Counter[str]) -> pa.RecordBatch:
        """The changed batch.

        Args:
            batch: Rows as read, or as the previous transform returned them.
            changed: The number of changed values is added under the transform's name.
        """
        ...
