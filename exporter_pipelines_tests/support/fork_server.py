"""The process that imports the libraries once, and of which `forks` has commands forked.

A program of its own: `python fork_server.py FD` answers the requests on a Unix socket, one after
the other, until the socket is closed. A fork does what the command does in a process of its own: it
imports the product itself, from its own folder, in its own environment.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import importlib.util
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARIES = (
    "adbc_driver_manager", "adbc_driver_postgresql", "alembic.command", "arro3.io", "dagster",
    "dagster._cli", "dagster._core.definitions.antlr_asset_selection.antlr_asset_selection",
    "dagster._core.execution.execute_in_process", "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager", "dagster._core.storage.root",
    "dagster._core.storage.noop_compute_log_manager", "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.autodiscovery", "dagster._daemon.controller", "dagster._grpc.server",
    "dagster._utils.test.definitions", "dagster.components.core.snapshot",
    "dagster_webserver.cli", "dagster_webserver.webserver", "grpc", "isal.igzip",
    "multiprocessing.spawn", "pandera.accessors.pandas_accessor", "pandera.backends.pandas.array",
    "pandera.backends.pandas.builtin_checks", "pandera.backends.pandas.container",
    "pandera.backends.pandas.hypotheses", "pandera.pandas", "pandera.typing.pyspark", "psycopg",
    "pyarrow.csv", "pyarrow.json", "pyarrow.parquet", "rich.console", "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.sqlite", "structlog", "tenacity", "zstandard",
)  # fmt: skip
"""None belongs to an extra: tests hide those."""


def read_migrations_once() -> None:
    """Have this process read Dagster's migrations once. It reads them for each history and run."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    read, kept = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def read_once(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in kept:
            kept[place] = read(config)
        return kept[place]

    ScriptDirectory.from_config = read_once  # type: ignore[assignment, method-assign]


def _main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    forks = _module_beside("forks")
    forks.install()
    for library in LIBRARIES:
        with suppress(ImportError):  # a private module that another version of Dagster lacks
            importlib.import_module(library)
    with suppress(ImportError):
        _read_migrations()
    gc.collect()
    gc.freeze()
    if ended := _serve(requests, forks):
        ended()


def _module_beside(name: str) -> ModuleType:
    """A module of this folder, without the package: that imports the product."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"fork_server_{name}"] = module
    spec.loader.exec_module(module)
    return module


def _read_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION

    read_migrations_once()
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    ScriptDirectory.from_config(config).as_revision_number("head")


def _serve(requests: socket.socket, forks: ModuleType) -> Callable[[], None] | None:
    """Answer requests; in a fork, return what is left to do there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, given, _, _ = socket.recv_fds(requests, 1 << 20, 64)
        if not message:
            return None
        while not message.endswith(b"\n"):
            message += requests.recv(1 << 20)
        answers, answer = os.pipe()
        if not (between := os.fork()):
            # The child of a process that has ended goes to the one that asked, which then can wait
            # for it: see `subreaper` in `forks`.
            if os.fork():
                os._exit(0)
            os.close(answers)
            return _begun(requests, forks, json.loads(message), given, answer)
        os.close(answer)
        for number in given:
            os.close(number)
        os.waitpid(between, 0)
        with os.fdopen(answers, "rb") as read:
            requests.sendall(read.read())


def _begun(
    requests: socket.socket, forks: ModuleType, asked: dict[str, Any], given: list[int], answer: int
) -> Callable[[], None]:
    """Become the process that was asked for, and return what it executes."""
    requests.close()
    answer = _moved(answer)
    try:
        if asked["new_session"]:
            os.setsid()
        if asked["group"] >= 0:
            os.setpgid(0, asked["group"])
        os.chdir(asked["cwd"])
    except OSError as error:
        _answer(answer, error.errno or 0)
        os._exit(1)
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    ours, theirs = map(_moved, (end.detach() for end in socket.socketpair()))
    if not os.fork():  # of this one, what the command starts is forked
        for number in (ours, answer, *given):
            os.close(number)
        _place([os.open(os.devnull, os.O_RDWR) for _ in range(3)], [0, 1, 2])
        return _serve(socket.socket(fileno=theirs), forks) or (lambda: os._exit(0))
    os.close(theirs)
    forks.SERVER.use(socket.socket(fileno=ours))
    _place(given, asked["numbers"])
    _show(asked["argv"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _answer(answer, 0)
    return lambda: _execute(asked["argv"], asked["program"])


def _answer(to: int, errno: int) -> None:
    os.write(to, (json.dumps({"pid": os.getpid(), "errno": errno}) + "\n").encode())
    os.close(to)


def _moved(fd: int) -> int:
    """The same under a number that no file descriptor of a command has."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 400)
    os.close(fd)
    return moved


def _place(given: list[int], numbers: list[int]) -> None:
    """Give the file descriptors their numbers."""
    for fd, number in zip(list(map(_moved, given)), numbers, strict=True):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)


def _show(argv: list[str]) -> None:
    """Have /proc and `ps` show the command."""
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    interpreter = [] if Path(argv[0]).name.startswith("python") else [sys.executable]
    shown = b"\0".join(os.fsencode(part) for part in (*interpreter, *argv))[: end - start - 1]
    ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)


def _execute(argv: list[str], program: list[str]) -> None:
    """Execute an entry point, module, script or piece of code, and end as the interpreter does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, name, *arguments = program
    first = {"module": str(Path.cwd()), "code": "", "script": str(Path(name).parent.resolve())}
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    sys.path[:0] = [first.get(kind, str(Path(sys.executable).parent)), *paths]
    sys.argv = [{"code": "-c"}.get(kind, argv[0] if kind == "entry" else name), *arguments]
    module = sys.modules["__main__"] = ModuleType("__main__")
    code = 1
    try:
        if kind == "entry":
            [entry] = entry_points(group="console_scripts", name=name)
            code = _exit_code(entry.load()())
        elif kind == "code":
            exec(name, vars(module))
            code = 0
        elif kind == "module":
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            code = 0
        else:
            runpy.run_path(name, run_name="__main__")
            code = 0
    except SystemExit as ended:
        code = _exit_code(ended.code)
    except BaseException as error:  # as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        if isinstance(error, KeyboardInterrupt):
            code = -signal.SIGINT
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for written in (sys.stdout, sys.stderr):
        with suppress(ValueError, OSError):  # closed by the command
            written.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _exit_code(given: object) -> int:
    if given is None or isinstance(given, int):
        return int(given or 0) & 0xFF
    sys.stderr.write(f"{given}\n")
    return 1


if __name__ == "__main__":
    _main()
