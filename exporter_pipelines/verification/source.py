"""Compares a published day with the database now: which keys are missing, extra or changed.

The engine stages the day again, into temporary files without names. Both sides are then decoded,
and each row becomes two hashes: of its key and of its line. So a row whose time moved within the
day is one changed row, and the order of keys does not matter. The hashes are on disk, partitioned
by key, so memory is bounded for a day of any size. Rejected rows count on both sides: a row that
was exported and would now be rejected has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import IO, Any, BinaryIO, Self

import numpy as np

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Manifest, same_pseudonyms
from exporter_pipelines.contracts.source import Session
from exporter_pipelines.contracts.staged_day import Data
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.erased_subjects import ErasedSubjects, erased_subjects
from exporter_pipelines.engine.load import decoded, row_schema
from exporter_pipelines.engine.local_copy import local_copy
from exporter_pipelines.engine.retention import read_tombstone
from exporter_pipelines.engine.stage import OnBatch, stage_day
from exporter_pipelines.errors import printable
from exporter_pipelines.formats.jsonl import JsonlFormat
from exporter_pipelines.stores import layout
from exporter_pipelines.verification.files import unpacked
from exporter_pipelines.verification.report import VerifyReport

NAMED_KEYS = 20
"""Keys that a finding lists; the others are counted."""

_BUCKET_ROWS = 2_000_000
"""Rows whose hashes are compared at a time: 32 MB per side."""

_RECORD = np.dtype([("key", "<u8"), ("row", "<u8")])
Row = tuple[str, bytes]
"""A key as text, and the line to compare."""


class _UnnamedStaging:
    """A `contracts.staged_day.Staging` of files without names: a killed process leaves none."""

    def __init__(self) -> None:
        self.generation = secrets.token_hex(8)
        self.files: dict[str, IO[bytes]] = {}

    def create(self, name: str, *, private: bool = False) -> _UnnamedFile:  # noqa: ARG002
        self.files[name] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by discard
        return _UnnamedFile(self.files[name])

    def open(self, name: str) -> BinaryIO:
        return _from_beginning(self.files[name])

    def discard(self) -> None:
        for file in self.files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()


class _UnnamedFile:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Data) -> object:
        return self._file.write(data)

    def close(self) -> None:
        self._file.flush()


@dataclass
class _Difference:
    """Keys that differ: their number, and the hashes of the first ones."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, keys: np.ndarray) -> None:
        self.count += len(keys)
        self.first += keys[: NAMED_KEYS - len(self.first)].tolist()


@dataclass(frozen=True)
class _Side:
    """One side of the comparison; its rows can be read repeatedly."""

    rows: Callable[[], Iterator[Row]]


def compare_day(
    store: Store,
    dataset: Dataset,
    manifest: Manifest,
    session: Session,
    report: VerifyReport,
    progress: OnBatch = lambda _read, _total: None,
) -> None:
    """Report which rows differ between a published day and the database.

    Args:
        store: Where the day is published.
        dataset: Its current definition.
        manifest: Of the day, verified.
        session: Reads the database.
        report: Receives the findings, which name keys and no other value.
        progress: Called after each batch of the database.

    Raises:
        ExporterError: the database could not be read.
        FileNotFoundError: the day was replaced or removed in the meantime.
    """
    staging = _UnnamedStaging()
    with ExitStack() as stack:
        stack.enter_context(staging)
        rejected = _open_rejected(store, manifest, stack)
        published = _published(store, dataset, manifest, rejected, stack)
        gone = manifest.quarantine is not None and rejected is None
        erased = erased_subjects(store, manifest.dataset)
        current = _staged(
            dataset, manifest, session, staging, report, erased, progress, with_rejected=not gone
        )
        if current is None:
            return
        buckets = 1 + manifest.counts.read // _BUCKET_ROWS
        sides = [_hashed(side, buckets, stack) for side in (published, current)]
        kinds = {"source_missing": _Difference(), "source_extra": _Difference(),
                 "source_changed": _Difference()}  # fmt: skip
        for then, now in zip(*sides, strict=True):
            _compare(_loaded(then), _loaded(now), *kinds.values())
        names = _names(kinds, (published, current))
    for kind, difference in kinds.items():
        if difference.count:
            or_filtered = "or a filter leaves out now" if dataset.config.filters else ""
            _add_finding(report, kind, difference, names, manifest, or_filtered)


def _published(
    store: Store,
    dataset: Dataset,
    manifest: Manifest,
    rejected: BinaryIO | None,
    stack: ExitStack,
) -> _Side:
    folder = stack.enter_context(store.published_day(manifest.dataset, manifest.partition))
    key, schema = dataset.config.source.key, row_schema(manifest)

    def rows() -> Iterator[Row]:
        for entry in manifest.files:
            with folder.open(entry.path) as file:
                yield from _lines(decoded(file, entry, schema), schema, key)
        if manifest.quarantine and rejected:
            yield from _rejected_lines(rejected, manifest.quarantine.path, key)

    return _Side(rows)


def _open_rejected(store: Store, manifest: Manifest, stack: ExitStack) -> BinaryIO | None:
    """The rejected rows; None when there are none, or they were removed before their day."""
    tombstone = read_tombstone(store, manifest.dataset, manifest.partition)
    removed = tombstone and tombstone.covers("quarantine", manifest.export_timestamp)
    if manifest.quarantine is None or removed:
        return None
    name = manifest.quarantine.path.rpartition("/")[2]
    file = store.open_quarantine(manifest.dataset, manifest.partition, name)
    if store.is_remote:  # it may be read twice
        with file:
            file = local_copy(file).file
    return stack.enter_context(file)


def _staged(
    dataset: Dataset,
    manifest: Manifest,
    session: Session,
    staging: _UnnamedStaging,
    report: VerifyReport,
    erased: ErasedSubjects | None,
    progress: OnBatch,
    *,
    with_rejected: bool,
) -> _Side | None:
    """The day as an export would write it now; None after a finding that its columns differ."""
    form: dict[str, Any] = {"max_file_records": None, "slices": 1}
    if manifest.files:
        form |= {n: getattr(manifest.files[0], n) for n in ("format", "compression")}
    dataset = replace(dataset, config=dataset.config.model_copy(update=form))
    stated = manifest.window
    window = DayWindow(manifest.partition, stated.start, stated.end, stated.timezone)
    with session.day(dataset, window) as snapshot:
        schema = dataset.exported(snapshot.schema)
        columns = [(c.name, c.type) for c in manifest.columns]
        if [(d["name"], d["type"]) for d in (c.described() for c in schema.columns)] != columns:
            folder = layout.day_path(manifest.dataset, manifest.partition)
            report.add("source_columns", folder, "has other columns than a new export would have")
            return None
        staged = stage_day(
            dataset, window, snapshot, staging, run_id="verify", progress=progress, erased=erased
        )
    if not same_pseudonyms(manifest.privacy, staged.privacy):
        folder = layout.day_path(manifest.dataset, manifest.partition)
        message = "has another privacy policy, key or epoch than a new export would have"
        report.add("source_privacy", folder, message)
        return None
    key = dataset.config.source.key

    def rows() -> Iterator[Row]:
        for entry in staged.files:
            file = staging.open(entry.path)
            yield from _lines(decoded(file, entry, schema), schema, key)
        if staged.quarantine and with_rejected:
            name = staged.quarantine.name
            yield from _rejected_lines(staging.open(name), name, key)

    return _Side(rows)


def _from_beginning(file: IO[bytes] | BinaryIO) -> BinaryIO:
    """The same file from its beginning, through a descriptor that a reader may close."""
    copy = os.fdopen(os.dup(file.fileno()), "rb")
    copy.seek(0)
    return copy


def _lines(batches: Iterator[Any], schema: Any, key: str) -> Iterator[Row]:
    printed = JsonlFormat(schema)
    for batch in batches:
        keys = batch[key].cast("string").to_pylist()
        lines = b"".join(printed.encode(batch, Counter())).split(b"\n")
        yield from zip(map(str, keys), lines, strict=False)


def _rejected_lines(file: BinaryIO, name: str, key: str) -> Iterator[Row]:
    """Rejected rows, marked as such."""
    begun: list[bytes] = []
    for chunk in unpacked(_from_beginning(file), name):
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for piece in others:
            line = b"".join(begun)
            yield str(json.loads(line).get(key)), b"rejected" + line
            begun = [piece]


def _hashed(side: _Side, buckets: int, stack: ExitStack) -> list[IO[bytes]]:
    """Files of `_RECORD`s, partitioned by key."""
    files: list[IO[bytes]] = []
    for _ in range(buckets):
        files.append(stack.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115
    for key, line in side.rows():
        number = _hash(key.encode())
        files[int.from_bytes(number) % buckets].write(number + _hash(line))
    return files


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()


def _loaded(file: IO[bytes]) -> np.ndarray:
    file.seek(0)
    return np.frombuffer(file.read(), _RECORD)


def _compare(
    then: np.ndarray, now: np.ndarray, missing: _Difference, extra: _Difference,
    changed: _Difference,
) -> None:  # fmt: skip
    gone, came = _only(then, now), _only(now, then)
    changed.add(np.intersect1d(gone, came))
    extra.add(np.setdiff1d(gone, came))
    missing.add(np.setdiff1d(came, gone))


def _only(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Keys of the rows that `one` has more often than `other`."""
    rows, counts = np.unique(one["row"], return_counts=True)
    others, theirs = np.unique(other["row"], return_counts=True)
    where = np.searchsorted(others, rows).clip(0, max(len(others) - 1, 0))
    known = others[where] == rows if len(others) else np.zeros(len(rows), bool)
    left = counts - np.where(known, theirs[where] if len(others) else 0, 0)
    return np.unique(one["key"][np.isin(one["row"], rows[left > 0])])


def _names(kinds: dict[str, _Difference], sides: tuple[_Side, ...]) -> dict[int, str]:
    """Hash -> key, for the keys that the findings list."""
    wanted = {number for difference in kinds.values() for number in difference.first}
    found: dict[int, str] = {}
    for side in sides if wanted else ():
        for key, _ in side.rows():
            number = int.from_bytes(_hash(key.encode()), "little")
            if number in wanted:
                found[number] = key
    return found


def _add_finding(
    report: VerifyReport,
    kind: str,
    difference: _Difference,
    names: dict[int, str],
    manifest: Manifest,
    or_filtered: str,
) -> None:
    what = {
        "source_missing": "lacks {} of the database",
        "source_extra": f"has {{}} that the database does not have {or_filtered}".rstrip(),
        "source_changed": "has {} that differ in the database",
    }[kind]
    number = "1 row" if difference.count == 1 else f"{difference.count:,} rows"
    keys = sorted((names[n] for n in difference.first), key=lambda key: (len(key), key))
    listed = ", ".join(printable(key)[:100] for key in keys)
    rest = difference.count - len(keys)
    more = f" and {rest:,} more" if rest else ""
    folder = layout.day_path(manifest.dataset, manifest.partition)
    hint = report.export_again
    if kind == "source_extra":
        hint = (
            "If the source has lost them, leave the export: it is the only copy. "
            f"Otherwise {hint[0].lower()}{hint[1:]}"
        )
    report.add(kind, folder, f"{what.format(number)}: {listed}{more}", hint)
