"""The rejected rows of a day without those of subjects, which are removed as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.errors import ExporterError, PublishedDayDamagedError
from exporter_pipelines.formats import compression_of
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
    with compression_of(name).open(file) as content:
        for lines in _blocks(content, name):
            yield from _kept_lines(lines, erasing, erased)


def _blocks(content: BinaryIO, name: str) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    try:
        for line in content:
            lines.append(line)
            if len(lines) >= _LINES:
                yield lines
                lines = []
    except ExporterError:
        raise
    except Exception as error:  # every library has its own
        raise PublishedDayDamagedError(
            f"The rejected rows {name} cannot be unpacked ({type(error).__name__}).",
            "Export the day again.",
        ) from None
    yield lines


def _kept_lines(lines: list[bytes], erasing: Erasing, erased: Erased) -> Iterator[bytes]:
    gone = erasing.quarantined_with_subjects(lines, erased) if lines else {}
    yield from (line for number, line in enumerate(lines) if number not in gone)
