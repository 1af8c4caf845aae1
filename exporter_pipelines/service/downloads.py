"""A download: open files and bytes, one after another, with a size that is known before.

Belongs here: what is sent. Does not belong here: HTTP (`routes.download_response`), and which files
of the output folder are opened (`files`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO

from exporter_pipelines.errors import PublishedDayDamagedError
from exporter_pipelines.formats import FORMATS

_BLOCK = 256 * 1024
_MEDIA_TYPES = {
    ".gz": "application/gzip",
    ".zst": "application/zstd",
    **{each.suffix: each.media_type for each in FORMATS.values()},
    ".tar": "application/x-tar",
    ".md": "text/markdown; charset=utf-8",
}
_OTHER = "application/octet-stream"
MEDIA_TYPES = (*(kind.partition(";")[0] for kind in _MEDIA_TYPES.values()), _OTHER)
"""All that a download may have."""


@dataclass(frozen=True)
class Part:
    """A piece of a download: bytes, or `size_bytes` of an open file from its beginning."""

    size_bytes: int
    content: bytes | BinaryIO

    @classmethod
    def of(cls, content: bytes) -> Part:
        """Bytes."""
        return cls(len(content), content)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`; blocks while a file is read."""
        if isinstance(self.content, bytes):
            yield self.content[start:end]
            return
        self.content.seek(start)
        while start < end:
            block = self.content.read(min(_BLOCK, end - start))
            if not block:
                raise PublishedDayDamagedError("A file became shorter while it was sent.")
            start += len(block)
            yield block


@dataclass(frozen=True)
class Download:
    """What a client receives. The owner calls `close`.

    Attributes:
        name: The file name that a client may store it under.
        parts: In order.
        version: Changes whenever a byte changes; becomes the ETag.
        sha256: Of all bytes, hexadecimal; empty if it is not known.
        opened: The files of `parts`.
        headers: That say more about it.
    """

    name: str
    parts: Sequence[Part]
    version: str
    sha256: str = ""
    opened: ExitStack = field(default_factory=ExitStack)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, content: bytes) -> Download:
        """A small file that was read as a whole."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(name, [Part.of(content)], sha256, sha256)

    @property
    def size_bytes(self) -> int:
        """Of all parts."""
        return sum(part.size_bytes for part in self.parts)

    @property
    def media_type(self) -> str:
        """By the suffix of the name."""
        return _MEDIA_TYPES.get(f".{self.name.rpartition('.')[2]}", _OTHER)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`."""
        for part in self.parts:
            if start < part.size_bytes and end > 0:
                yield from part.blocks(max(start, 0), min(end, part.size_bytes))
            start, end = start - part.size_bytes, end - part.size_bytes

    def close(self) -> None:
        """Close the files. May be called twice."""
        self.opened.close()
