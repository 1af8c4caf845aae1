"""The databases that runs read from, as a Dagster resource.

https://docs.dagster.io/guides/build/external-resources
"""

from __future__ import annotations

import dagster as dg

from exporter_pipelines import databases
from exporter_pipelines.contracts.source import Session


class BackendResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The databases of the backend, see docs/settings.md.

    It has no URL: each dataset names the environment variable of its database.

    Example:
        with backend.open_session() as session, session.day(dataset, window) as snapshot: ...
    """

    def open_session(self) -> Session:
        """Open a session that reads one day after another. The caller closes it.

        See `contracts.source.Session`.
        """
        return databases.open_session()
