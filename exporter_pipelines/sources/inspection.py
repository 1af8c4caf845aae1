"""Which inspection looks at which database."""

from __future__ import annotations

from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources.postgres.inspection import PostgresInspection
from exporter_pipelines.sources.sqlite.connection import URL_PREFIX
from exporter_pipelines.sources.sqlite.inspection import SqliteInspection


def open_inspection(url: str, variable: str) -> Inspection:
    """Look at the database behind a URL; the caller closes it.

    Args:
        url: As for `sources.open_day`.
        variable: The environment variable that holds it, for messages.

    Raises:
        ConfigurationError: no source reads such a URL.
        SourceUnavailableError: the database cannot be reached.
    """
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresInspection(url, variable)
    if url.startswith(URL_PREFIX):
        return SqliteInspection(url, variable)
    raise ConfigurationError(
        f"{variable} is neither a postgresql:// nor a sqlite:/// URL nor `demo`.",
        "Other databases are not supported; its value is not shown since it may be secret.",
    )
