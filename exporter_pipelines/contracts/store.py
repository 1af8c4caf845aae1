"""The engine's interface to the storage of exports, which publishes a day in one step.

Does not belong here: any particular store; each one is a package in `stores/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Protocol

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.output_marker import OutputMarker
from exporter_pipelines.contracts.publication import NewTombstone, Publication
from exporter_pipelines.contracts.published_day import PublishedDay
from exporter_pipelines.contracts.retention import Part
from exporter_pipelines.contracts.staged_day import Staging
from exporter_pipelines.contracts.structure import Misplaced, Structure
from exporter_pipelines.contracts.versions import Versions


class Store(Protocol):
    """Storage for exports. All days are partition keys, `YYYY-MM-DD`.

    Every method raises `OutputUnavailableError` when the storage cannot be read or written, and
    `ConfigurationError` for an invalid name of a dataset or day.
    """

    @property
    def location(self) -> str:
        """Where the exports are, for messages. Never holds a secret."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether each read is a download; see `PublishedDay.is_remote`."""
        ...

    @property
    def has_view(self) -> bool:
        """Whether the files of published days are at names that a glob finds."""
        ...

    def begin(self, dataset: str, day: str) -> Staging:
        """Begin an attempt at a day, after removing abandoned attempts; a context manager."""
        ...

    def switch(self, staging: Staging, publication: Publication) -> None:
        """Publish a staged day, if the published day is still the one that the attempt began with.

        No other attempt can publish between the comparison and the switch. A reader finds the old
        day or the new one, never a mixture. After an error the old day is still published; only if
        the error came after the switch, the new day is visible and complete. The ledger has an
        entry before the switch and one after it, so it agrees with what is published whenever the
        process dies (`contracts.ledger.DayRecord`).

        Raises:
            GenerationChangedError: another run published or removed the day in the meantime.
        """
        ...

    def hold(self, staging: Staging, quarantine: str) -> str:
        """Keep the rejected rows of a day that is not published, and return where they are."""
        ...

    def remove(
        self,
        entry: Entry,
        *,
        tombstone: NewTombstone,
        dataset_files: Callable[[], Mapping[str, bytes]] = dict,
    ) -> bool:
        """Remove a part of a day, and write its tombstone.

        Args:
            entry: A `removing` entry for the ledger: what to remove from which day and why.
                `generation` is that of the day when the removal was decided.
            tombstone: Makes the day's tombstone, which is written before anything is removed.
            dataset_files: Called when the entry is in the ledger; the files that it makes are
                written before anything is removed, too.

        Returns:
            False when nothing was removed: the day was published again, or the part is gone.
        """
        ...

    def replaced_exports(self, dataset: str) -> list[tuple[str, str]]:
        """(day, name) of the replaced exports that are kept for their rows, oldest day first."""
        ...

    def replaced_export(self, dataset: str, name: str) -> PublishedDay:
        """Open a replaced export that is kept; raises as `published_day`."""
        ...

    def remove_replaced(self, dataset: str, name: str) -> bool:
        """Remove a replaced export; False when it is gone."""
        ...

    def remove_superseded(self, dataset: str, day: str | None = None) -> None:
        """Remove at once the replaced exports that are only kept for their readers.

        Args:
            dataset: Whose exports.
            day: None for all days.
        """
        ...

    def datasets(self) -> list[str]:
        """Names of the datasets with anything stored, also those of no definition; sorted."""
        ...

    def published_days(self, dataset: str) -> list[str]:
        """Days with a published export, oldest first."""
        ...

    def quarantined_days(self, dataset: str) -> list[str]:
        """Days with rejected rows, oldest first."""
        ...

    def quarantine_files(self, dataset: str, day: str) -> list[str]:
        """Names of the quarantine files of a day, sorted.

        Raises:
            FileNotFoundError: there are none; a store may also return an empty list.
            OSError: they may not be read, or are behind a symbolic link (ELOOP).
        """
        ...

    def quarantine_times(self, dataset: str, day: str) -> Mapping[str, int]:
        """Name -> when the quarantine file was written, in nanoseconds; raises like the names."""
        ...

    def open_quarantine(self, dataset: str, day: str, name: str) -> BinaryIO:
        """Open a quarantine file; the caller closes it. Raises as `PublishedDay.open` does."""
        ...

    def read_manifest(self, dataset: str, day: str) -> bytes | None:
        """The bytes of the published manifest; None when the day is not published."""
        ...

    def read_manifests(
        self, dataset: str, days: Sequence[str]
    ) -> Iterator[tuple[str, bytes | None]]:
        """(day, manifest) of each day in order, read one after another or several at once.

        For many days: where each read is a request, it takes a fraction of the time.
        """
        ...

    def generation(self, dataset: str, day: str) -> str | None:
        """`generation_of` the published manifest; None when the day is not published."""
        ...

    def read_fingerprint(self, dataset: str, day: str, generation: str | None) -> str | None:
        """The fingerprint of the source rows of a generation; None when it is not known."""
        ...

    def read_dataset_file(self, dataset: str, name: str) -> bytes | None:
        """A file of `Publication.dataset_files`; None when there is none."""
        ...

    def write_dataset_files(self, dataset: str, files: Callable[[], Mapping[str, bytes]]) -> None:
        """Create or replace files as `Publication.dataset_files`, without publishing a day.

        Args:
            dataset: Whose files.
            files: Name -> content; called while no other process writes such files.
        """
        ...

    def read_tombstone(self, dataset: str, day: str) -> bytes | None:
        """The day's tombstone; None when nothing was ever removed from the day."""
        ...

    def published_day(self, dataset: str, day: str) -> PublishedDay:
        """Open the published day as it is now; the caller closes it.

        Raises:
            FileNotFoundError: the day is not published.
            OSError: it may not be read, or is behind a symbolic link (ELOOP).
        """
        ...

    # Places and sizes

    def day_location(self, dataset: str, day: str) -> str:
        """Where a day is, or would be, published: a folder or a URL that readers may use."""
        ...

    def quarantine_location(self, dataset: str, day: str) -> str:
        """Where the rejected rows of a day are, or would be, kept."""
        ...

    def size_of(self, dataset: str, day: str, part: Part) -> int:
        """Bytes of a part of a day; 0 when it is not there."""
        ...

    def storage_of(self, dataset: str) -> Mapping[str, int]:
        """Bytes of all files of a dataset by kind: `data`, `quarantine`, `other`."""
        ...

    # The ledger

    def adopt(self, dataset: str) -> int:
        """Begin the ledger of a dataset that has none, from its published days.

        The first publish of a dataset without a published day begins its ledger by itself.

        Returns:
            Number of days that were adopted; 0 when there is a ledger already, or no day.
        """
        ...

    def record(self, entry: Entry) -> None:
        """Add an entry to the ledger; it is durable afterwards."""
        ...

    def entries(self, dataset: str, day: str | None) -> Sequence[Entry]:
        """The entries of a day, or with None those of the dataset itself, oldest first."""
        ...

    def recorded_days(self, dataset: str) -> list[str]:
        """Days with entries in the ledger, oldest first."""
        ...

    def recorded_datasets(self) -> list[str]:
        """Names of the datasets with a ledger, sorted."""
        ...

    def has_ledger(self, dataset: str) -> bool:
        """Whether the ledger of a dataset was begun, and its published days were adopted."""
        ...

    def may_read_ledger(self, dataset: str) -> bool:
        """Whether this user may read the ledger, which only the user who exports may."""
        ...

    def read_ledger(self, dataset: str, day: str | None) -> tuple[Sequence[Entry], int]:
        """`entries`, and the number of lines or objects that are not entries."""
        ...

    def ledger_path(self, dataset: str, day: str | None) -> str:
        """Where the ledger of a day or of a dataset is, relative to the root; for messages."""
        ...

    def salted(self, text: str) -> str:
        """A hash of a text that cannot be compared with hashes of another output folder."""
        ...

    # The output as a whole

    def exists(self) -> bool:
        """Whether there is anything at all: the folder, or an object of it."""
        ...

    def read_marker(self) -> OutputMarker | None:
        """The marker; None when there is none."""
        ...

    def create_marker(self) -> OutputMarker:
        """The marker, which is created if there is none. Of two processes, one creates it."""
        ...

    def require_writable(self) -> None:
        """Raise `OutputUnavailableError` if exports cannot be written; they need not exist yet.

        Cheap: the service asks every few seconds.
        """
        ...

    def probe(self) -> Sequence[str]:
        """Try what a publish needs of the storage, for `exporter doctor`.

        Returns:
            What was found, one sentence each.

        Raises:
            OutputUnavailableError: a publish would fail.
        """
        ...

    def trial(self, rounds: int) -> Iterator[str]:
        """Test more than `probe` does, for `exporter output test`; yields what was found.

        Args:
            rounds: How often writers race.

        Raises:
            OutputUnavailableError: a publish would fail.
            ConfigurationError: a publish would not be safe.
        """
        ...

    def free_bytes(self) -> int | None:
        """Free space; None when it has no limit."""
        ...

    def structure(self, dataset: str) -> Structure:
        """The places of a dataset, outside of its days, and what is wrong with them."""
        ...

    def misplaced_quarantine(
        self, dataset: str, day: str, names: Callable[[], re.Pattern[str]]
    ) -> Sequence[Misplaced]:
        """What is wrong with the place of the rejected rows of a day.

        Args:
            dataset, day: The day.
            names: Makes what matches the names of quarantine files of the day; usually not called,
                since most days have none.
        """
        ...

    # What else is kept with the exports

    def read_report(self, day: str | None) -> bytes | None:
        """The page of the export report of a day; None: the newest. None when there is none."""
        ...

    def write_report(self, day: str | None, content: bytes) -> str:
        """Create or replace a page of the export report, and return where it is."""
        ...

    def report_location(self, day: str | None) -> str:
        """Where a page of the export report is, or would be."""
        ...

    def versions(self, name: str) -> Versions:
        """The versions of a training set."""
        ...

    def training_sets(self) -> list[str]:
        """Names of the training sets with a stored version or an unfinished build, sorted."""
        ...

    # Upkeep

    def clean_up(self, dataset: str) -> None:
        """Remove abandoned attempts, and replaced days that are no longer kept for readers."""
        ...

    def dead_attempts(self, dataset: str) -> list[str]:
        """What killed runs left, which `clean_up` removes."""
        ...
