"""One connection per database, however many datasets it has."""

from __future__ import annotations

from contextlib import ExitStack

from exporter_pipelines import databases
from exporter_pipelines.contracts.inspection import Inspection
from exporter_pipelines.errors import ExporterError


class Connections:
    """A context manager that closes what was opened through it.

    Attributes:
        session: Reads rows as an export does; connects when it first reads.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._opened: dict[str, Inspection | ExporterError] = {}
        self.session = self._stack.enter_context(databases.open_session())

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
                opened = databases.open_inspection(variable)
                self._opened[variable] = self._stack.enter_context(opened)
            except ExporterError as error:
                self._opened[variable] = error
        found = self._opened[variable]
        if isinstance(found, ExporterError):
            raise found
        return found
