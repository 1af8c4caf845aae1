"""The rejected rows of a day without those of subjects, which are removed as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.quarantine import lines_of
from exporter_pipelines.privacy.erasing import Erased, Erasing

_LINES = 20_000


def quarantined(
    store: Store, manifest: Manifest, erasing: Erasing, erased: Erased
) -> Iterator[bytes]:
    """The rejected rows of a day without those of subjects, each with its line break.

    Raises:
        FileNotFoundError: retention has removed them.
    """
    assert manifest.quarantine is not None
    name = manifest.quarantine.path.rpartition("/")[2]
    with store.open_quarantine(manifest.dataset, manifest.partition, name) as file:
        yield from without_subjects(file, name, erasing, erased)


def without_subjects(
    file: BinaryIO, name: str, erasing: Erasing, erased: Erased
) -> Iterator[bytes]:
    """The lines of a quarantine file without those of subjects.

    Raises:
        PublishedDayDamagedError: it cannot be unpacked.
    """
    left = lines_of(file, name)
    while lines := list(islice(left, _LINES)):
        yield from _kept_lines(lines, erasing, erased)


def _kept_lines(lines: list[bytes], erasing: Erasing, erased: Erased) -> Iterator[bytes]:
    gone = erasing.quarantined_with_subjects(lines, erased)
    yield from (line for number, line in enumerate(lines) if number not in gone)
