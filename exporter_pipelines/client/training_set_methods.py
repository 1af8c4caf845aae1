"""The methods of `Client` for training sets."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.remote_build import RemoteBuild
from exporter_pipelines.client.training_sets import DownloadedTrainingSet, download_training_set
from exporter_pipelines.service.models import TrainingSet, TrainingSetBuild, TrainingSets


class TrainingSetMethods:
    """Part of `Client`, which sets the connection."""

    _connection: Connection

    def training_sets(self) -> list[TrainingSet]:
        """All training sets with their newest version."""
        return self._connection.get("/training-sets", TrainingSets).items

    def training_set(self, name: str) -> TrainingSet:
        """One training set with its newest version.

        Raises:
            UnknownResourceError: there is none of this name.
        """
        return self._connection.get(f"/training-sets/{quote(name, safe='')}", TrainingSet)

    def build_training_set(self, name: str, *, idempotency_key: str | None = None) -> RemoteBuild:
        """Start a build from the days that are published now, and return at once.

        Args:
            name: Of the training set.
            idempotency_key: As for `export`.

        Raises:
            UnknownResourceError: there is no such training set, or none of its days is published.
            StateConflictError: it cannot be built from the published days.
        """
        started = self._connection.post(
            f"/training-sets/{quote(name, safe='')}/builds",
            TrainingSetBuild,
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
            repeatable=True,
        )
        return RemoteBuild(self._connection, name, started.id, started)

    def download_training_set(
        self,
        name: str,
        folder: str | Path,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> DownloadedTrainingSet:
        """Download the newest version into `folder/training_sets/NAME/v-VERSION/`.

        Each file appears under its name when it is complete and has the SHA-256 of the manifest;
        the link `latest` is changed when all are there. An interrupted download is resumed.

        Args:
            name: Of the training set.
            folder: Where to; it is created.
            on_progress: Called with the number of bytes, for each part that has arrived.

        Raises:
            UnknownResourceError: there is no such training set, or it was not built yet.
            DownloadError: a file is not as published, or cannot be written.
        """
        return download_training_set(self._connection, name, Path(folder), arrived=on_progress)
