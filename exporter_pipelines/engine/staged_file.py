"""A file in the staging area: compressed, hashed and measured while it is written."""

from __future__ import annotations

import hashlib

from exporter_pipelines.contracts.staged_day import Data, FileFacts, OpenFile, Staging
from exporter_pipelines.formats import compression_named


class StagedFile:
    """Writes one file, created with its first byte, so that nothing empty is ever published.

    Args:
        staging: Where it is created.
        name: Final name.
        compression: `none`, `gzip` or `zstd`.
        private: Readable by its owner only.
    """

    def __init__(
        self, staging: Staging, name: str, compression: str, *, private: bool = False
    ) -> None:
        self._staging, self._name, self._private = staging, name, private
        self._compressor = compression_named(compression).compressor()
        self._file: OpenFile | None = None
        self._sha256 = hashlib.sha256()
        self._size = 0

    def write(self, data: Data) -> None:
        """Append uncompressed bytes."""
        if data:
            self._append(self._compressor.compress(data))

    def finish(self) -> FileFacts | None:
        """End the compressed stream, sync and close the file; None when nothing was written."""
        if self._file is None:
            return None
        self._append(self._compressor.flush())
        self._file.close()
        return FileFacts(self._name, self._size, self._sha256.hexdigest())

    def _append(self, compressed: Data) -> None:
        if self._file is None:
            self._file = self._staging.create(self._name, private=self._private)
        self._sha256.update(compressed)
        self._size += len(compressed)
        self._file.write(compressed)
