"""A range of days of one dataset as one stream: the files one after the other, or a tar archive.

All files are opened before the first byte is sent, so the size is known, and nothing that is
published meanwhile can change a byte.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Literal

from exporter_pipelines.contracts.left_out_days import headers_of
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, DataFile, Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import DayNotPublishedError, listed
from exporter_pipelines.orchestration.exports.outcome import spans
from exporter_pipelines.service.day_states import held_days
from exporter_pipelines.service.downloads import Download, Part
from exporter_pipelines.service.files import OpenDay, in_one_generation
from exporter_pipelines.service.problems import FieldError, Problem

Missing = Literal["fail", "skip"]
Shape = Literal["concat", "tar"]

_MOST_FILES = 2_000
_MOST_NAMED = 20
_ENDING = bytes(2 * tarfile.BLOCKSIZE)
_CONCATENABLE = "jsonl"
"""Lines stay lines. Members of gzip and frames of zstd that follow each other are one file."""


def day_range(
    store: Store, dataset: str, days: Sequence[str], *, missing: Missing, shape: Shape
) -> Download:
    """The published files of the days, in order. Its headers name the days that were left out.

    Raises:
        Problem: 409 if a day is not published and `missing` is `fail`, or if the files cannot be
            concatenated; 422 if they are too many.
        ExporterError: as `files.in_one_generation`.
    """
    published = set(store.published_days(dataset))
    absent = [day for day in days if day not in published]
    if absent and missing == "fail":
        raise _not_published(store, dataset, absent, days)
    with ExitStack() as stack:
        opened: list[_Day] = []
        files = 0
        for day in days:
            if day not in published:
                continue
            try:
                found = in_one_generation(store, dataset, day, _Day)
            except DayNotPublishedError:  # removed a moment ago
                if missing == "fail":
                    raise _not_published(store, dataset, [day], days) from None
                absent.append(day)
                continue
            stack.callback(found.close)
            opened.append(found)
            files += len(found.parts)
            if files > _MOST_FILES:
                raise Problem(
                    422,
                    f"The days have more than {_MOST_FILES:,} files. Choose fewer days.",
                    errors=[FieldError("/end_date", f"more than {_MOST_FILES:,} files")],
                )
        parts = list(_tar(opened) if shape == "tar" else _concatenated(dataset, opened))
        suffix = ".tar" if shape == "tar" else _suffix(dataset, opened)
        name = f"{dataset}-{days[0]}_{days[-1]}{suffix}"
        headers = headers_of(sorted(absent)) if missing == "skip" else {}
        return Download(name, parts, _version(shape, opened), "", stack.pop_all(), headers)


class _Day:
    """A day with all of its files open."""

    def __init__(self, day: OpenDay) -> None:
        self.manifest: Manifest = day.manifest
        self.content = day.content
        self.parts: list[tuple[DataFile, Part]] = []
        with ExitStack() as stack:
            for file in day.manifest.files:
                part = Part(file.size_bytes, stack.enter_context(day.open(file)))
                self.parts.append((file, part))
            self.close = stack.pop_all().close


def _not_published(
    store: Store, dataset: str, absent: Sequence[str], days: Sequence[str]
) -> Problem:
    held = held_days(store, dataset, absent)
    groups = {
        "held": [day for day in absent if day in held],
        "not exported": [day for day in absent if day not in held],
    }
    named = "; ".join(f"{_named(found, days)} ({why})" for why, found in groups.items() if found)
    detail = (
        f"{dataset} is not published on {len(absent):,} of {len(days):,} days: {named}. Export "
        "these days, or leave them out with missing=skip."
    )
    if groups["not exported"]:
        detail += " An export with --days-with-rows publishes no day without rows."
    return Problem(409, detail, anchor="a-day-is-not-published")


def _named(some: Sequence[str], days: Sequence[str]) -> str:
    named = spans(some, days).split(", ")
    return ", ".join(named[:_MOST_NAMED]) + (" and more" if named[_MOST_NAMED:] else "")


def _concatenated(dataset: str, days: Sequence[_Day]) -> Iterator[Part]:
    for day in days:
        for file, part in day.parts:
            if file.format != _CONCATENABLE:
                raise Problem(
                    409,
                    f"{dataset} {day.manifest.partition} has the format {file.format}, whose files "
                    "cannot follow each other in one file. Use as=tar.",
                )
            yield part


def _suffix(dataset: str, days: Sequence[_Day]) -> str:
    """The suffix of all files; of a range without files that of JSON Lines."""
    found = {file.compression: _suffix_of(file) for day in days for file, _ in day.parts}
    if len(found) > 1:
        raise Problem(
            409,
            f"The days of {dataset} have different compressions: {listed(sorted(found))}. "
            "Use as=tar.",
        )
    return next(iter(found.values()), ".jsonl")


def _suffix_of(file: DataFile) -> str:
    _, found, rest = file.path.rpartition(f".{_CONCATENABLE}")
    return f".{_CONCATENABLE}{rest if found else ''}"


def _tar(days: Sequence[_Day]) -> Iterator[Part]:
    """Folders as in the output folder, each with its manifest."""
    for day in days:
        folder = f"{day.manifest.dataset}/data/date={day.manifest.partition}"
        yield from _member(day, f"{folder}/{MANIFEST_NAME}", Part.of(day.content))
        for file, part in day.parts:
            yield from _member(day, f"{folder}/{file.path}", part)
    yield Part.of(_ENDING)


def _member(day: _Day, name: str, part: Part) -> Iterator[Part]:
    header = tarfile.TarInfo(name)
    header.size, header.mode = part.size_bytes, 0o640
    header.mtime = int(day.manifest.export_timestamp.timestamp())
    yield Part.of(header.tobuf(tarfile.GNU_FORMAT))
    yield part
    yield Part.of(bytes(-part.size_bytes % tarfile.BLOCKSIZE))


def _version(shape: Shape, days: Sequence[_Day]) -> str:
    digest = hashlib.sha256(shape.encode())
    for day in days:
        hashes = [file.sha256 for file, _ in day.parts]
        digest.update(day.content if shape == "tar" else "".join(hashes).encode())
    return digest.hexdigest()
