"""Reads databases and delivers Arrow record batches.

Belongs here: one folder for each kind of database, which provides a `contracts.source.Source`, and
the registry that finds it by the scheme of a URL. docs/extending.md shows how to add one.
Does not belong here: validating or transforming rows, and code for a single dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.contracts.source import DaySnapshot, Session, SharedSnapshot, Source
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.sources import postgres, sqlite

__all__ = [
    "SOURCES", "Databases", "Resolver", "kind_of", "open_inspection", "with_postgres_driver",
]  # fmt: skip

SOURCES: tuple[Source, ...] = (postgres.SOURCE, sqlite.SOURCE)

Resolver = Callable[[str], str]
"""Environment variable -> URL of its database."""


def with_postgres_driver(path: str | None) -> tuple[Source, ...]:
    """`SOURCES`, in which PostgreSQL is read with the ADBC driver at a path.

    The driver is checked when a database is first opened.
    """
    return tuple(postgres.source(path) if each is postgres.SOURCE else each for each in SOURCES)


class Databases:
    """A `contracts.source.Session` over the databases of all datasets, one session per database.

    Args:
        resolve: Called when a database is first read; its errors are raised.
        known: The kinds of databases.

    Example:
        with Databases(resolve) as databases, databases.day(dataset, window) as snapshot:
            ...
    """

    def __init__(self, resolve: Resolver, known: Sequence[Source] = SOURCES) -> None:
        self._resolve, self._known = resolve, known
        self._sessions: dict[str, Session] = {}

    def day(
        self,
        dataset: Dataset,
        window: DayWindow,
        *,
        timeout_s: float | None = None,
        shared: SharedSnapshot | None = None,
    ) -> DaySnapshot:
        """See `contracts.source.Session.day`."""
        session = self._session(dataset)
        return session.day(dataset, window, timeout_s=timeout_s, shared=shared)

    def times_of(self, dataset: Dataset, keys: pa.Array, *, timeout_s: float) -> pa.Table:
        """See `contracts.source.Session.times_of`."""
        return self._session(dataset).times_of(dataset, keys, timeout_s=timeout_s)

    def count_days(
        self, dataset: Dataset, windows: Sequence[DayWindow], *, timeout_s: float
    ) -> dict[str, int]:
        """See `contracts.source.Session.count_days`."""
        return self._session(dataset).count_days(dataset, windows, timeout_s=timeout_s)

    def close(self) -> None:
        """See `contracts.source.Session.close`."""
        for session in self._sessions.values():
            session.close()

    def _session(self, dataset: Dataset) -> Session:
        """The session of a dataset's database."""
        variable = dataset.config.source.url
        if variable not in self._sessions:
            url = self._resolve(variable)
            self._sessions[variable] = _source(url, variable, self._known).open_session(
                url, variable
            )
        return self._sessions[variable]

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_inspection(url: str, variable: str, known: Sequence[Source] = SOURCES) -> Inspection:
    """Open an inspection of the database of a URL; the caller closes it.

    Args:
        url: Of the database.
        variable: The environment variable with this URL, for messages.
        known: The kinds of databases.

    Raises:
        ConfigurationError: no source supports the URL.
        SourceUnavailableError: the database cannot be reached.
    """
    return _source(url, variable, known).open_inspection(url, variable)


def kind_of(url: str) -> str | None:
    """`Source.kind` of a URL; None when no source supports it."""
    source = _by_scheme(url)
    return source.kind if source else None


def _source(url: str, variable: str, known: Sequence[Source]) -> Source:
    source = _by_scheme(url, known)
    if source is None:
        examples = ", ".join(source.example for source in SOURCES)
        raise ConfigurationError(
            f"The value of {variable} is not the URL of a supported database.",
            f"Write it as one of {examples}, or write the word demo for the sample data. The value "
            "is not shown, because it may contain a secret.",
        )
    return source


def _by_scheme(url: str, known: Sequence[Source] = SOURCES) -> Source | None:
    scheme, colon, _ = url.partition(":")
    return next((s for s in known if colon and scheme in s.schemes), None)
