"""Commands in forks of a process that has imported the libraries: 0.5 s of CPU time instead of 3.

A command still imports the product itself, from its own folder, in its own environment. Processes
that are killed or looked at are started as usual, by `Project.start` and others.

As a program this is the process that is forked: it reads commands from standard input, and answers
each with the process id, and then with the exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

LIBRARIES = (
    "adbc_driver_manager", "adbc_driver_postgresql", "alembic.command", "arro3.io", "dagster",
    "dagster._cli", "dagster._core.definitions.antlr_asset_selection.antlr_asset_selection",
    "dagster._core.execution.execute_in_process", "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager", "dagster._core.storage.root",
    "dagster._core.storage.noop_compute_log_manager", "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.autodiscovery", "dagster._daemon.controller", "dagster._grpc.server",
    "dagster._utils.test.definitions", "dagster.components.core.snapshot", "grpc", "isal.igzip",
    "pandera.accessors.pandas_accessor", "pandera.backends.pandas.array",
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


class Forks:
    """The process that is forked, once it is needed; it ends with this one.

    Attributes:
        are_used: Set by conftest.py; campaigns and benchmarks start each command as a user does.
    """

    are_used = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: subprocess.Popen[str] | None = None

    def run(
        self,
        command: str,
        arguments: tuple[str, ...],
        cwd: Path,
        env: dict[str, str],
        limit_s: float,
    ) -> tuple[int, str, str] | None:
        """Exit code, output and error output of a command; None if it is to be started as usual.

        It is while another one runs.

        Raises:
            subprocess.TimeoutExpired: it took longer than `limit_s` seconds, and was killed.
        """
        if not self.are_used or not self._lock.acquire(blocking=False):
            return None
        try:
            with tempfile.TemporaryDirectory() as folder:
                printed = [Path(folder, name) for name in ("stdout", "stderr")]
                asked = {"argv": [command, *arguments], "cwd": str(cwd), "env": env,
                         "printed": list(map(str, printed))}  # fmt: skip
                code = self._ask(asked, limit_s)
                return code, *(path.read_text() for path in printed)  # type: ignore[return-value]
        finally:
            self._lock.release()

    def _ask(self, asked: dict[str, Any], limit_s: float) -> int:
        server = self._server = self._server or _started()
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        pid = int(server.stdout.readline())
        if not select.select([server.stdout], [], [], limit_s)[0]:
            os.kill(pid, 9)
            server.stdout.readline()
            raise subprocess.TimeoutExpired(asked["argv"], limit_s)
        return int(server.stdout.readline())


def _started() -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", __file__],
        env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _serve() -> None:
    for library in LIBRARIES:
        with suppress(ImportError):  # a private module that another version of Dagster lacks
            importlib.import_module(library)
    with suppress(ImportError):
        _read_migrations()
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            answers.close()
            _become(**json.loads(line))
        answers.write(f"{pid}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")


def _read_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION

    read_migrations_once()
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    ScriptDirectory.from_config(config).as_revision_number("head")


def _become(argv: list[str], cwd: str, env: dict[str, str], printed: list[str]) -> None:
    """Do what the command does in a process of its own, and end."""
    for number, name in enumerate((os.devnull, *printed)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    bin_ = Path(sys.executable).parent
    sys.path[:0] = [str(bin_), *env["PYTHONPATH"].split(os.pathsep)]
    sys.argv = [str(bin_ / argv[0]), *argv[1:]]
    code = 1
    try:
        [entry] = entry_points(group="console_scripts", name=argv[0])
        code = _exit_code(entry.load()())
    except SystemExit as ended:
        code = _exit_code(ended.code)
    except BaseException:  # as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_code(given: object) -> int:
    if given is None or isinstance(given, int):
        return int(given or 0) & 0xFF
    sys.stderr.write(f"{given}\n")
    return 1


if __name__ == "__main__":
    _serve()
