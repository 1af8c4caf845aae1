"""One service per project: a lock that says where the running one is, and its address."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from exporter_pipelines import settings
from exporter_pipelines.errors import ConfigurationError, OutputUnavailableError

_LOCK_SECONDS = 20


@contextmanager
def only_one(url: str) -> Iterator[int]:
    """Hold the lock of the project, which the kernel releases whatever ends its holders.

    Yields:
        A file descriptor; the lock stays until the last process with it has ended.

    Raises:
        ConfigurationError: another process has it, or DAGSTER_HOME is not a folder.
        OutputUnavailableError: DAGSTER_HOME cannot be written.
    """
    with _lock_file(project_home() / ".dagster" / "supervisor.lock") as file:
        _lock(file)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} {url}\n")
        file.flush()
        yield file.fileno()


def _lock_file(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a+")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise OutputUnavailableError(
            f"The service cannot write {path} in DAGSTER_HOME: {reason}.",
            "Give this user permission to write there, or set DAGSTER_HOME to another folder.",
        ) from None


def refuse_a_port_in_use(host: str, port: int) -> None:
    """Raise a `ConfigurationError` when the address cannot be listened on."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        other = port + 1 if port < 65535 else 3000
        raise ConfigurationError(
            f"The web server cannot listen on {host}:{port}: {reason}.",
            f"Choose another port: make dev PORT={other}, or exporter serve --port {other}.",
        ) from None


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """The address, taken before anything that takes long. It accepts no connections yet.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    refuse_a_port_in_use(host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        yield listener


def _lock(file: IO[str]) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid, _, url = file.read().strip().partition(" ")
            # If it was killed, its processes end within seconds, and the lock is free then.
            if _lives(pid) or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"This project is already running on {url} (process {pid}).",
                    "Open that address, or stop it there with Ctrl-C.",
                ) from None
            time.sleep(0.2)
        else:
            return


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def project_home() -> Path:
    """DAGSTER_HOME, if it is the absolute path of a folder; raises a `ConfigurationError` else."""
    home = settings.dagster_home()
    if home is None or not Path(home).is_absolute() or not Path(home).is_dir():
        raise ConfigurationError(
            f"DAGSTER_HOME is {home or 'not set'}, and must be the absolute path of a folder.",
            "Start in the project folder, whose .env sets it: copy .env.example to .env.",
        )
    return Path(home)
