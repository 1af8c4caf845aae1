"""A large object, written in parts whose memory goes back to the kernel when they are sent."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from exporter_pipelines.contracts.staged_day import Data

if TYPE_CHECKING:
    from obstore import WritableFile

_PIECE_BYTES = 1024 * 1024


class PartWriter:
    """Writes an object; one that is shorter than a part is sent by one request.

    obstore keeps what it is given, without a copy, until the part is sent. So it is given pieces
    with pages of their own. What a compressor returns lies between the batches of the export: the
    heap would grow around it, and stay large.

    Args:
        client: A store of obstore.
        key: Name of the object.
        part_bytes: Size of all parts but the last.
    """

    def __init__(self, client: Any, key: str, part_bytes: int) -> None:
        import obstore

        # One part is filled while one is sent. With 1, a write waits while a part is sent; more
        # would need more memory.
        self._file: WritableFile = obstore.open_writer(
            client, key, buffer_size=part_bytes, max_concurrency=2
        )
        self._piece: mmap.mmap | None = None

    def write(self, data: Data) -> None:
        """Append bytes; waits while two parts are being sent."""
        left = memoryview(data).cast("B")  # Arrow's have signed bytes
        while left:
            if self._piece is None:
                self._piece = mmap.mmap(-1, _PIECE_BYTES, flags=mmap.MAP_PRIVATE)
            taken = self._piece.write(left[: _PIECE_BYTES - self._piece.tell()])
            left = left[taken:]
            if self._piece.tell() == _PIECE_BYTES:
                self._send()

    def close(self) -> None:
        """Send what is left; the object exists afterwards."""
        self._send()
        self._file.close()

    def _send(self) -> None:
        piece, self._piece = self._piece, None
        if piece is not None:
            self._file.write(memoryview(piece)[: piece.tell()])
