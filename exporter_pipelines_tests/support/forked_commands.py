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
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "adbc_driver_manager", "adbc_driver_postgresql", "alembic", "dagster", "dagster._cli", "grpc",
    "pandera.backends.pandas.builtin_checks", "pandera.pandas", "psycopg", "pyarrow.parquet",
    "sqlalchemy",
)  # fmt: skip
"""None belongs to an extra: tests hide those."""


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
    for library in _LIBRARIES:
        importlib.import_module(library)
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
