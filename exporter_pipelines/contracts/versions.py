"""The engine's interface to things that are replaced as a whole, such as training sets.

Belongs here: the protocols of a set of versions and of one version.
Does not belong here: what a version holds (`training`), and where it is stored (`stores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from exporter_pipelines.errors import OutputUnavailableError


class BuildingElsewhereError(OutputUnavailableError):
    """Another process was still building the same set when the wait ended."""

    docs_anchor = "a-training-set-is-not-built"


class Version(Protocol):
    """One version: complete, and never changed. It may be removed when newer ones exist."""

    @property
    def version(self) -> str:
        """Its name, as given to `Versions.publish`."""
        ...

    @property
    def location(self) -> str:
        """Where it is: a folder, or a URL for readers. Never holds a secret."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading; the caller closes it. The file can be sought.

        Args:
            path: As it was below the folder that was published, `data/train-00000.parquet`.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it may not be read.
        """
        ...

    def size(self, path: str) -> int:
        """Bytes of a file. Raises as `open` does."""
        ...

    def names(self) -> list[str]:
        """The paths of all files, sorted."""
        ...


class Versions(Protocol):
    """All versions of one name. Every method raises `OutputUnavailableError` as a store does."""

    @property
    def location(self) -> str:
        """Where they are, for messages."""
        ...

    def newest(self) -> Version | None:
        """The version that was published last; None when there is none."""
        ...

    def version(self, version: str) -> Version | None:
        """A version by its name; None when it is not stored, or no longer."""
        ...

    def stored(self) -> list[str]:
        """The names of all versions that are stored, sorted."""
        ...

    def left_behind(self) -> Sequence[Version]:
        """Versions whose files no reader sees: their build still runs or was killed.

        A store that removes them with `lock` has none.
        """
        ...

    def remove(self, version: str) -> None:
        """Remove a version at once, also the newest one; the one before it does not become newest.

        The caller holds the lock.
        """
        ...

    def newest_was_removed(self) -> bool:
        """Whether a version was published, and the newest one is not stored any more."""
        ...

    def lock(self, wait_s: float) -> AbstractContextManager[None]:
        """Build alone, where the store can tell; two builds at once must not do harm elsewhere.

        Raises:
            BuildingElsewhereError: another process did not end within `wait_s` seconds.
        """
        ...

    def building(self) -> AbstractContextManager[Path]:
        """An empty folder on a local disk for a new version; removed at the end."""
        ...

    def publish(self, folder: Path, version: str) -> Version:
        """Make the content of a complete folder the newest version, in one step.

        A reader finds the version before or this one, never a mixture. Of two builds that publish
        at once, one is the newest; if both have the same name, both succeed.

        Args:
            folder: Below the one that `building` gave. It may be moved away.
            version: Its name, without characters that are special in paths.
        """
        ...
