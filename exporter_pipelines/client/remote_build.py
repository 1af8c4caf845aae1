"""A build of a training set that the service runs: follow it to its end."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from exporter_pipelines.client.connection import Connection
from exporter_pipelines.client.waiting import AWAY_S, wait_until_ended
from exporter_pipelines.service.models import TrainingSetBuild


class RemoteBuild:
    """A build by its id, which is that of its Dagster run.

    Attributes:
        training_set, id: Which one.
        last: What the service said last; None before it was asked.
    """

    def __init__(
        self,
        connection: Connection,
        training_set: str,
        id: str,  # noqa: A002 - the field's name
        last: TrainingSetBuild | None = None,
    ) -> None:
        self.training_set, self.id, self.last = training_set, id, last
        self._connection = connection
        self._path = f"/training-sets/{quote(training_set, safe='')}/builds/{quote(id, safe='')}"

    def status(self) -> TrainingSetBuild:
        """Ask the service for the build."""
        return self._ask({})

    def wait(
        self,
        on_progress: Callable[[TrainingSetBuild], None] | None = None,
        *,
        every_s: float = 2.0,
        timeout_s: float | None = None,
    ) -> TrainingSetBuild:
        """Wait until the build has ended, and return it. It may be held, failed or cancelled.

        A service that is restarted meanwhile is waited for.

        Args:
            on_progress: Called with the build each time the service was asked.
            every_s: Seconds between two questions.
            timeout_s: Give up after this time; the build goes on.

        Raises:
            TimeoutError: the build has not ended within `timeout_s`.
            ServiceUnreachableError: the service was away for more than two minutes.
        """
        return wait_until_ended(
            lambda _: self._ask({"retry_s": AWAY_S}),
            on_progress,
            what=f"build {self.id}",
            every_s=every_s,
            timeout_s=timeout_s,
        )

    def _ask(self, options: dict[str, float]) -> TrainingSetBuild:
        self.last = self._connection.get(self._path, TrainingSetBuild, **options)
        return self.last

    def __repr__(self) -> str:
        status = self.last.status if self.last else None
        return f"RemoteBuild({self.training_set!r}, {self.id!r}, status={status!r})"
