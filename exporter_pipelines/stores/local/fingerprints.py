"""Fingerprints of the source rows of published days, in files that only their owner can read.

A fingerprint is a hash of a day's row count, largest key and latest update. Guessing can reveal the
largest key, which may be an IP address or a user name. The manifest is shared with the data, so the
fingerprint is not part of it.

Each day has one file, mode 0600. It has a line `<generation> <fingerprint>` for the published
generation, and one for the generation that is about to replace it: a process may die before or
after the switch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest, sealed_json
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.local.cleanup import day_lock
from exporter_pipelines.stores.local.files import (
    NewFile,
    make_folder,
    replace_file,
    translate_os_errors,
)
from exporter_pipelines.stores.local.locks import locked
from exporter_pipelines.stores.local.small_files import read_small_file

_UPGRADED = "upgraded"


def write_fingerprint(
    root: Path, dataset: str, day: str, published: str | None, new: tuple[str, str], scratch: Path
) -> None:
    """Add the fingerprint of a generation that is about to be published.

    Args:
        root, dataset, day: The day.
        published: The generation that is published now; its line is kept.
        new: The generation to be published, and its fingerprint.
        scratch: Temporary path on the same file system.
    """
    folder = make_folder(root, dataset, layout.FINGERPRINTS)
    known = read_fingerprint(root, dataset, day, published)
    lines = [f"{published} {known}\n"] if known else []
    lines.append(" ".join(new) + "\n")
    path = folder / layout.day_name(day)
    replace_file(path, scratch, "".join(lines).encode(), private=True)


def read_fingerprint(root: Path, dataset: str, day: str, generation: str | None) -> str | None:
    """The fingerprint of a generation; None when it is not in the file, or the file is damaged."""
    path = _path(root, dataset, day)
    try:
        with translate_os_errors(path, "read"):
            text = (read_small_file(path, root) or b"").decode() if generation else ""
    except UnicodeDecodeError:
        return None
    pairs = (line.split() for line in text.splitlines())
    return next((pair[1] for pair in pairs if len(pair) == 2 and pair[0] == generation), None)


def drop_fingerprint(root: Path, dataset: str, day: str) -> None:
    """Remove the fingerprint of a day whose export was removed. Raises nothing."""
    with suppress(OSError):
        _path(root, dataset, day).unlink()


def move_out_of_manifests(
    root: Path, dataset: str, published_days: Callable[[str], list[str]]
) -> None:
    """Move fingerprints out of manifests that version 0.1.0 published.

    This happens once per dataset and does not change the `data_version` of a day. A reader finds
    the old or the new manifest; both match the data files. A damaged manifest is not changed;
    `exporter verify` reports it.

    Args:
        root, dataset: Whose manifests.
        published_days: Lists the days of a dataset; called only if the move is still to be made.

    Raises:
        OutputUnavailableError: the folder cannot be written.
    """
    marker = root / dataset / layout.FINGERPRINTS / _UPGRADED
    if marker.exists() or not (days := published_days(dataset)):
        return
    make_folder(root, dataset, layout.FINGERPRINTS)
    scratch = make_folder(root, dataset, layout.SUPERSEDED)
    with locked(make_folder(root, dataset, layout.LOCKS) / "upgrade"):
        if not marker.exists():
            for day in days:
                with day_lock(root, dataset, day):
                    _move_out_of_manifest(root, dataset, day, scratch)
            # Empty, so creating it is atomic; nothing is written to a folder that may be read-only.
            NewFile(marker, private=True).close()


def _move_out_of_manifest(root: Path, dataset: str, day: str, scratch: Path) -> None:
    path = layout.day_folder(root, dataset, day) / MANIFEST_NAME
    data = read_small_file(path, root)
    manifest = Manifest.if_readable(data)
    if data is None or manifest is None or not manifest.manifest_sha256:
        return
    if manifest.source.fingerprint is None:
        return
    document = json.loads(data)
    fingerprint = document["source"].pop("fingerprint")
    new, new_path = sealed_json(document), scratch / f"upgrade.{layout.day_name(day)}"
    generation = generation_of(new) or ""
    write_fingerprint(root, dataset, day, None, (generation, fingerprint), new_path)
    replace_file(path, new_path, new)


def _path(root: Path, dataset: str, day: str) -> Path:
    return layout.dataset_folder(root, dataset) / layout.FINGERPRINTS / layout.day_name(day)
