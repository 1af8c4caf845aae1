"""Where runs read from.

https://docs.dagster.io/guides/build/external-resources
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines import databases
from exporter_pipelines.contracts.source import Session


class BackendResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The backend's databases, see docs/settings.md.

    Holds no URL: each dataset names its environment variable.

    Example:
        with backend.open_session() as session, session.day(dataset, window) as snapshot: ...
    """

    def open_session(self) -> Session:
        """Read days one after the other; the caller closes it. See `contracts.source.Session`."""
        return databases.open_session()
