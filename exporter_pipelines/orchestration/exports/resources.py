"""Where runs read from.

https://docs.dagster.io/guides/build/external-resources
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.demo.backend import backend_url
from exporter_pipelines.sources import KeptConnection, open_day


class BackendResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The backend's databases, see docs/settings.md.

    Holds no URL: each dataset names its environment variable.

    Example:
        with backend.open_day(dataset, window) as snapshot: ...
    """

    def open_day(
        self, dataset: Dataset, window: DayWindow, kept: KeptConnection | None = None
    ) -> DaySnapshot:
        """Open one day; the caller closes it. See `sources.open_day`, also for what it raises."""
        return open_day(backend_url(dataset.config.source.url), dataset, window, kept)
