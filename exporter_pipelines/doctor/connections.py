"""One connection per database, however many datasets it has."""

from __future__ import annotations

from contextlib import ExitStack

from exporter_pipelines import settings
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.demo.backend import start_server
from exporter_pipelines.errors import ExporterError, MissingSettingError
from exporter_pipelines.sources.inspection import open_inspection


class Connections:
    """A context manager that closes what was opened through it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[str, Inspection | ExporterError] = {}

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def to(self, variable: str) -> Inspection:
        """The database that the environment variable names.

        Raises:
            ExporterError: it cannot be reached; the same error for each dataset, tried once.
        """
        if variable not in self._opened:
            try:
                opened = open_inspection(_url(variable), variable)
                self._opened[variable] = self._stack.enter_context(opened)
            except ExporterError as error:
                self._opened[variable] = error
        found = self._opened[variable]
        if isinstance(found, ExporterError):
            raise found
        return found


class SampleNotMadeError(MissingSettingError):
    """The sample backend is chosen, and nothing has made it yet."""


def _url(variable: str) -> str:
    url = settings.source_url(variable)
    if url != settings.DEMO_SOURCE:
        return url
    home = settings.demo_home() / "postgres"
    if not home.is_dir():
        raise SampleNotMadeError(
            f"{variable} is the word demo, and the sample backend is not made yet.",
            "`make demo` or the first export makes it; or put the URL of your database there.",
        )
    return start_server(home)
