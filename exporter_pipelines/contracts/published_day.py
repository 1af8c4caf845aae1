"""A published day as a store opens it."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Protocol, Self

from exporter_pipelines.contracts.structure import Misplaced


class PublishedDay(Protocol):
    """One generation of a published day; it may have been replaced while this object is open.

    Every method may also raise `OutputUnavailableError` when the storage cannot be reached.
    """

    @property
    def location(self) -> str:
        """Where it was published, for messages: a folder or a URL, without a slash at its end."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether each read is a download. Who reads a file twice makes a local copy first."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file of the day for reading; the caller closes it. The file can be sought.

        Only a file of a store that is not remote has a descriptor.

        Raises:
            FileNotFoundError: there is no file of this name.
            OSError: it may not be read, or is not a regular file (EINVAL, ELOOP).
        """
        ...

    def read_small(self, name: str) -> bytes:
        """The content of a small file, such as the manifest; empty if it is far too large.

        Raises as `open` does.
        """
        ...

    def size(self, name: str) -> int:
        """Bytes of a file as it is stored. Raises as `open` does."""
        ...

    def names(self) -> list[str]:
        """All names in the day's folder, sorted."""
        ...

    def irregular(self, name: str = "") -> Misplaced | None:
        """What is wrong with the place of a file; without a name, of the day itself.

        Only what the storage knows, such as permissions; the content is not read.
        """
        ...

    def is_current(self) -> bool:
        """Whether this generation is still the published one."""
        ...

    def close(self) -> None:
        """Release the day. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None: ...
