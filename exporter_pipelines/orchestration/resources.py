"""Where runs read from.

https://docs.dagster.io/guides/build/external-resources
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.source import DaySnapshot
from exporter_pipelines.sources import open_day


class BackendResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The backend's databases. Holds no URL: each dataset names its environment variable.

    Example:
        with backend.open_day(dataset, window) as snapshot: ...
    """

    def open_day(self, dataset: Dataset, window: DayWindow) -> DaySnapshot:
        """Open one day; the caller closes it. See `sources.open_day` for what it raises."""
        url = settings.source_url(dataset.config.source.url)
        if url == settings.DEMO_SOURCE:
            # Imported here: an export from a real backend needs no embedded server.
            from exporter_pipelines.demo.backend import demo_url

            url = demo_url()
        return open_day(url, dataset, window)
