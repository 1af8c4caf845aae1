"""Databases in, Arrow batches out.

Belongs here: one folder for each kind of database, which gives a `contracts.source.Source`, and the
registry that finds it by the scheme of a URL. docs/extending.md says how to add one.
Does not belong here: judging rows, changing them, or knowing any dataset by name.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.source import DaySnapshot, Session, Source
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources import postgres, sqlite

__all__ = ["SOURCES", "Databases", "Resolver", "kind_of", "open_inspection"]

SOURCES: tuple[Source, ...] = (postgres.SOURCE, sqlite.SOURCE)

Resolver = Callable[[str], str]
"""Environment variable -> URL of the database that it names."""


class Databases:
    """A `contracts.source.Session` over every database that datasets name.

    Args:
        resolve: Called for the first day that is read from a variable. `day` raises its errors.

    Example:
        with Databases(resolve) as databases, databases.day(dataset, window) as snapshot:
            ...
    """

    def __init__(self, resolve: Resolver) -> None:
        self._resolve = resolve
        self._sessions: dict[str, Session] = {}

    def day(self, dataset: Dataset, window: DayWindow) -> DaySnapshot:
        """See `contracts.source.Session.day`."""
        variable = dataset.config.source.url
        if variable not in self._sessions:
            url = self._resolve(variable)
            self._sessions[variable] = _source(url, variable).open_session(url, variable)
        return self._sessions[variable].day(dataset, window)

    def close(self) -> None:
        """See `contracts.source.Session.close`."""
        for session in self._sessions.values():
            session.close()

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_inspection(url: str, variable: str) -> Inspection:
    """Look at the database behind a URL; the caller closes it.

    Args:
        url: Of a database.
        variable: The environment variable that holds it, for messages.

    Raises:
        ConfigurationError: no source reads such a URL.
        SourceUnavailableError: the database cannot be reached.
    """
    return _source(url, variable).open_inspection(url, variable)


def kind_of(url: str) -> str | None:
    """`Source.kind` of a URL; None when no source reads it."""
    source = _by_scheme(url)
    return source.kind if source else None


def _source(url: str, variable: str) -> Source:
    source = _by_scheme(url)
    if source is None:
        examples = ", ".join(source.example for source in SOURCES)
        raise ConfigurationError(
            f"The value of {variable} is not the URL of a supported database.",
            f"Write it as one of {examples}, or write the word demo for the sample data. The value "
            "is not shown since it may be secret.",
        )
    return source


def _by_scheme(url: str) -> Source | None:
    scheme, colon, _ = url.partition(":")
    return next((s for s in SOURCES if colon and scheme in s.schemes), None)
