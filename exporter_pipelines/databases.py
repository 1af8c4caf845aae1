"""The databases that datasets read, found through the environment.

A dataset names an environment variable. Its value is a URL, or the word `demo` for the embedded
sample backend. This is the only module that imports the package `demo`, and it does so only when
the value is `demo`.
"""

from __future__ import annotations

from pathlib import Path

from exporter_pipelines import settings, sources
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.source import Session, Source
from exporter_pipelines.errors import MissingSettingError
from exporter_pipelines.sources.postgres.driver import Driver, driver_at

_DEMO_SCHEME = "postgresql:"


class SampleNotMadeError(MissingSettingError):
    """The sample backend is chosen, but it does not exist yet."""


def open_session() -> Session:
    """Read days of any dataset; the caller closes it. It connects when the first day is read."""
    return sources.Databases(_url, _sources())


def open_inspection(variable: str) -> Inspection:
    """Look at the database of an environment variable; the caller closes it.

    Raises:
        MissingSettingError: the variable is not set.
        SampleNotMadeError: it is the word `demo`, and the sample does not exist yet.
        ConfigurationError: no source supports the URL.
        SourceUnavailableError: the database cannot be reached.
    """
    url: str | None = settings.source_url(variable)
    if url == settings.DEMO_SOURCE:
        from exporter_pipelines.demo.backend import existing_demo_url

        url = existing_demo_url()
    if url is None:
        raise SampleNotMadeError(
            f"{variable} is the word demo, and the sample backend does not exist yet.",
            "`make demo` or the first export creates it. Or set the variable to the URL of your "
            "database.",
        )
    return sources.open_inspection(url, variable, _sources())


def is_sample(variable: str) -> bool:
    """Whether an environment variable selects the embedded sample backend."""
    try:
        return settings.source_url(variable) == settings.DEMO_SOURCE
    except MissingSettingError:
        return False  # reading it raises the error


def kind(variable: str) -> str | None:
    """Kind of the database of an environment variable, for the UI; None when it is unknown."""
    try:
        url = settings.source_url(variable)
    except MissingSettingError:
        return None
    return sources.kind_of(_DEMO_SCHEME if url == settings.DEMO_SOURCE else url)


def stated_versions(database: Path) -> int:
    """How many versions of its tables a SQLite database of Dagster states; see `sources.sqlite`."""
    from exporter_pipelines.sources.sqlite import stated_versions as sqlite

    return sqlite.stated_versions(database)


def postgres_driver() -> Driver:
    """The driver that PostgreSQL is read with.

    Raises:
        ConfigurationError: EXPORTER_POSTGRES_DRIVER names a file that cannot be used.
    """
    return driver_at(settings.postgres_driver())


def _sources() -> tuple[Source, ...]:
    return sources.with_postgres_driver(settings.postgres_driver())


def _url(variable: str) -> str:
    """The URL in a variable; starts the sample backend, and fills it if it is new."""
    url = settings.source_url(variable)
    if url != settings.DEMO_SOURCE:
        return url
    from exporter_pipelines.demo.backend import demo_url

    return demo_url()
