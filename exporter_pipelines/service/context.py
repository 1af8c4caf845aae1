"""What all parts of the service share: Dagster, output folder, definitions, options."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field

import dagster as dg
from starlette.requests import HTTPConnection

from exporter_pipelines.contracts.dataset_name import DATASET_NAME
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.errors import UnknownNameError
from exporter_pipelines.orchestration.dagster_internals.web_server import Workspace
from exporter_pipelines.service.access import Access
from exporter_pipelines.service.limits import Slots


@dataclass(frozen=True)
class ServeOptions:
    """How the service listens.

    Attributes:
        host, port: The address it listens on.
        prefix: Of every path, as `/exporter`; empty without one.
        read_only: Whether nobody may change anything.
    """

    host: str = "127.0.0.1"
    port: int = 3000
    prefix: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class ServiceContext:
    """Shared by all requests; one per process. Who creates the workspace also closes it.

    Attributes:
        workspace: Dagster's connection to the code location.
        store: The output folder.
        options: How the service listens.
        range_streams, event_streams: Requests that last long.
        access: Who may use it; None to read the settings.
        answered: Route and status -> requests, for the metrics.
    """

    workspace: Workspace
    store: Store
    options: ServeOptions = ServeOptions()
    range_streams: Slots = field(default_factory=lambda: Slots(per_user=2, in_all=20))
    event_streams: Slots = field(default_factory=lambda: Slots(per_user=100, in_all=100))
    access: Access | None = None
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    _definitions: _CachedDefinitions = field(default_factory=lambda: _CachedDefinitions())

    @property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance."""
        instance: dg.DagsterInstance = self.workspace.instance
        return instance

    @property
    def definitions(self) -> Definitions:
        """The definitions as their files are now."""
        return self._definitions.get()

    def require_dataset(self, name: str) -> None:
        """Require that a dataset or preset is defined or has published days.

        Raises:
            UnknownNameError: there is none of this name; the message lists the names.
        """
        names = self.definitions.exported_names()
        is_name = re.fullmatch(DATASET_NAME, name)
        if name not in names and not (is_name and self.store.published_days(name)):
            raise UnknownNameError("dataset", name, sorted(names))

    def url(self, path: str) -> str:
        """A path of the service with its prefix; `path` begins with a slash."""
        return f"{self.options.prefix}{path}"


class _CachedDefinitions:
    """Reads the files again when one of them has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[tuple[object, ...], Definitions] | None = None

    def get(self) -> Definitions:
        with self._lock:
            definitions = self._known[1] if self._known else Definitions()
            stamp = _stamp(definitions)
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, Definitions())
            return self._known[1]


def _stamp(definitions: Definitions) -> tuple[object, ...]:
    files = sorted(definitions.folder.rglob("*.yaml"))
    return tuple((file, file.stat().st_mtime_ns) for file in files)


def context_of(connection: HTTPConnection) -> ServiceContext:
    """The context of the service that received a request."""
    context: ServiceContext = connection.app.state.context
    return context
