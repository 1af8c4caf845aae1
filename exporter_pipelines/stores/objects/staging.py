"""One attempt at a day: its files are objects under names that no other attempt uses."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.errors import DayUnavailableError, OutputUnavailableError
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.bucket import Bucket
from exporter_pipelines.stores.objects.part_writer import PartWriter
from exporter_pipelines.stores.objects.pointers import Pointer
from exporter_pipelines.stores.objects.reading import open_object

MAX_PARTS = 10_000
"""Of one object in S3 and Google Cloud Storage."""


class ObjectFile:
    """A new object, written in parts; it exists when `close` returned."""

    def __init__(self, bucket: Bucket, key: str, part_bytes: int) -> None:
        self.key, self.size = key, 0
        self._bucket, self._limit = bucket, part_bytes * MAX_PARTS
        self._writer: PartWriter | None = bucket.writer(key, part_bytes)

    def write(self, data: Data) -> None:
        """Append bytes."""
        assert self._writer is not None, self.key
        self.size += len(data)
        if self.size > self._limit:
            raise DayUnavailableError(
                f"{self._bucket.location.uri(self.key)} has more than {self._limit:,} bytes, which "
                f"are {MAX_PARTS:,} parts.",
                "Set `max_file_records` to write several files, or a larger "
                "EXPORTER_OUTPUT_PART_MIB.",
            )
        self._bucket.feed(self.key, self._writer.write, data)

    def close(self) -> None:
        """Send what is left; the object exists afterwards. May be called twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._bucket.finish(self.key, writer.close)

    def abandon(self) -> None:
        """Forget the parts that were sent; the bucket's lifecycle rule removes them."""
        self._writer = None


@dataclass
class AttemptState:
    """What has become of an attempt.

    Attributes:
        unknown: A switch was sent, and may still be made: nothing may be removed.
        published: The switch was made.
        complete: So was everything that follows it.
        kept: Names of staged files that now belong to the day's quarantine.
    """

    unknown: bool = False
    published: bool = False
    complete: bool = False
    kept: tuple[str, ...] = ()


class ObjectStaging:
    """A `contracts.staged_day.Staging` in a bucket.

    Rejected rows are written to the quarantine under their final name, because a bucket has no
    rename. They belong to the day once it is published or held, and are removed otherwise.

    Args:
        bucket: Where.
        dataset, day: What is staged.
        base: Pointer of the day when the attempt began.
        entries: Of the day's ledger at the same moment.
        part_bytes: Size of the parts in which files are sent.
        forget: Called when the attempt has ended; see `store`.
    """

    def __init__(
        self,
        bucket: Bucket,
        dataset: str,
        day: str,
        base: Pointer,
        entries: Sequence[Entry],
        part_bytes: int,
        forget: Callable[[ObjectStaging], object],
    ) -> None:
        self.bucket, self.dataset, self.day = bucket, dataset, day
        self.base, self.entries = base, list(entries)
        self.generation = secrets.token_hex(8)
        self.attempt = layout.attempt_name(day, self.generation)
        self.state = AttemptState()
        self._part_bytes, self._forget = part_bytes, forget
        self._files: dict[str, ObjectFile] = {}
        self._private: set[str] = set()
        self._kept_base = ""
        self._is_discarded = False
        self.key = keys.attempt(dataset, day, self.generation, base.attempt)
        begun = {"begun_at": dt.datetime.now(dt.UTC).isoformat()}
        bucket.write(self.key, json.dumps(begun).encode())

    def create(self, name: str, *, private: bool = False) -> ObjectFile:
        """See `contracts.staged_day.Staging.create`."""
        dataset, day = self.dataset, self.day
        folder = keys.generation(dataset, day, self.generation)
        if private:
            folder = keys.quarantine(dataset, day)
            self._private.add(name)
        file = ObjectFile(self.bucket, f"{folder}/{name}", self._part_bytes)
        self._files[name] = file
        return file

    def open(self, name: str) -> BinaryIO:
        """See `contracts.staged_day.Staging.open`."""
        file = self._files[name]
        try:
            return open_object(self.bucket, file.key, file.size)
        except FileNotFoundError:
            raise DayUnavailableError(
                f"{self.bucket.location.uri(file.key)} was removed while the export was running.",
                "Run the day again.",
            ) from None

    def keep_base(self) -> None:
        """Note that the export which this attempt replaces is kept for its rows.

        Before the switch, because the sweep would remove it otherwise.
        """
        folder = keys.replaced(self.dataset, self.attempt)
        self._kept_base = f"{folder}/{keys.POINTER_COPY}"
        self.bucket.write(self._kept_base, self.base.to_bytes())

    def data_files(self) -> dict[str, int]:
        """Name -> size of the files that a pointer names."""
        return {n: file.size for n, file in self._files.items() if n not in self._private}

    def size_of(self, name: str) -> int:
        """Bytes of a staged file."""
        return self._files[name].size

    def discard(self) -> None:
        """See `contracts.staged_day.Staging.discard`. Raises nothing.

        What cannot be removed stays with the object of the attempt, by which the sweep finds it.
        """
        for file in self._files.values():
            file.abandon()
        self._forget(self)
        unfinished = self.state.published and not self.state.complete
        if self._is_discarded or self.state.unknown or unfinished:
            return
        with suppress(OutputUnavailableError, FileNotFoundError):
            self.bucket.remove(self._leftovers())
            self._is_discarded = True

    def _leftovers(self) -> list[str]:
        """Objects to remove; that of the attempt is the last one."""
        if self.state.published:
            # While a replaced generation exists, the object of the attempt names it.
            return [] if self.base.attempt else [self.key]
        unkept = [file.key for name, file in self._files.items() if name not in self.state.kept]
        return [*unkept, *filter(None, [self._kept_base]), self.key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        self.discard()
