"""Versions of a training set that are in the store, with their manifests."""

from __future__ import annotations

from dataclasses import dataclass

from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_manifest import TrainingManifest
from exporter_pipelines.contracts.versions import Version


@dataclass(frozen=True)
class PublishedSet:
    """A version of a training set."""

    version: Version
    manifest: TrainingManifest


def newest_set(store: Store, name: str) -> PublishedSet | None:
    """The newest version; None when there is none whose manifest can be read."""
    newest = store.versions(name).newest()
    try:
        manifest = manifest_of(newest) if newest else None
    except OSError:
        return None
    return PublishedSet(newest, manifest) if newest and manifest else None


def manifest_of(version: Version) -> TrainingManifest | None:
    """The manifest of a version; None when it cannot be understood.

    Raises:
        OSError: it cannot be read.
    """
    with version.open(MANIFEST_NAME) as file:
        return TrainingManifest.if_readable(file.read())
