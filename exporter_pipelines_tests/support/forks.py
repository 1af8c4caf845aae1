"""Processes of Dagster and the product, forked of one that has imported the libraries.

That takes 0.5 s of CPU time instead of 3. `ForkingPopen` is a `subprocess.Popen`: the process that
it starts is a child of this one, with the same file descriptors, signals, exit codes and command
line. What is not a command of the product, of Dagster's, or a process of `multiprocessing`, is
started as usual; so is everything in campaigns and benchmarks, which do not use this class.
"""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from multiprocessing import util
from pathlib import Path

_BIN = Path(sys.executable).parent
_ENTRIES = {"dagster", "dagster-daemon", "dagster-webserver", "exporter"}
_SCRIPTS = {"dagster-daemon.py"}
_MODULES = {"dagster"}
_SPAWN = "from multiprocessing.spawn import spawn_main"
# Other variables that begin with PYTHON change the interpreter itself.
_SAME = {"PYTHONPATH", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_ROOM = 4096  # bytes of a command line that /proc shows
_EXECUTE = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_Popen = subprocess.Popen
_spawnv = util.spawnv_passfds  # type: ignore[attr-defined]


class _Server:
    """The process that is forked, started when it is first needed; it ends with this one.

    Attributes:
        forked: Number of its forks.
    """

    def __init__(self) -> None:
        self.forked = 0
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def use(self, requests: socket.socket) -> None:
        """Take one that is there."""
        self._requests = requests

    def fork(
        self,
        argv: Sequence[str],
        program: Sequence[str],
        fds: Mapping[int, int],
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        new_session: bool = False,
        group: int = -1,
    ) -> int:
        """Start a process and return its id.

        Args:
            argv: Its command line.
            program: What it executes: kind, name, arguments.
            fds: Which file descriptors of this process it has under which numbers.
            cwd, env: This process's if not given.
            new_session: As of Popen.
            group: As `process_group` of Popen.
        """
        asked = {
            "argv": argv, "program": program, "numbers": list(fds), "cwd": cwd or str(Path.cwd()),
            "env": dict(os.environ if env is None else env), "new_session": new_session,
            "group": group,
        }  # fmt: skip
        with self._lock, _subreaper():
            requests = self._requests = self._requests or self._started()
            socket.send_fds(requests, [(json.dumps(asked) + "\n").encode()], list(fds.values()))
            with requests.makefile("rb", buffering=0) as answers:
                answer = json.loads(answers.readline())
        if answer["errno"]:
            os.waitpid(answer["pid"], 0)
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        self.forked += 1
        return int(answer["pid"])

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        program = str(Path(__file__).with_name("fork_server.py"))
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with theirs:
            command = [sys.executable, "-P", "-W", "ignore", program, str(theirs.fileno())]
            self._process = _Popen(
                [*command, " " * _ROOM],
                env=kept, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return ours


SERVER = _Server()


class ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    """A Popen that forks where it can."""

    def _execute_child(self, *given: object) -> None:
        asked = _EXECUTE.bind(self, *given).arguments
        argv, env = _without_env(asked["args"], asked["env"] or os.environ)
        program = _program(argv) if _is_usual(asked, env) else None
        if program is None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        pipes = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        fds = {number: number if fd == -1 else fd for number, fd in enumerate(pipes)}
        fds |= {int(fd): int(fd) for fd in asked["pass_fds"]}
        cwd = None if asked["cwd"] is None else os.fspath(asked["cwd"])
        session, group = asked["start_new_session"], asked["process_group"]
        self.pid = SERVER.fork(argv, program, fds, cwd, env, session, group)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in ends))  # type: ignore[attr-defined]


def spawnv_passfds(path: str | bytes, args: Sequence[str], passfds: Sequence[int]) -> int:
    """What `multiprocessing` starts a process with; forked if it is one of the context `spawn`."""
    argv = _texts(args)
    at = argv.index("-c") if "-c" in argv else -1
    if at < 0 or not argv[at + 1].startswith(_SPAWN) or not _starts_alike(os.environ):
        return int(_spawnv(path, args, passfds))
    fds = {number: number for number in (0, 1, 2, *map(int, passfds))}
    return SERVER.fork(argv, ["code", argv[at + 1], *argv[at + 2 :]], fds)


def _without_env(args: object, env: Mapping[str, str]) -> tuple[list[str], Mapping[str, str]]:
    """Command line and environment of a command, which env(1) may execute."""
    if isinstance(args, (str, bytes, os.PathLike)):
        return [os.fsdecode(args)], env
    argv = _texts(args)  # type: ignore[arg-type]
    if argv[0] != "/usr/bin/env":
        return argv, env
    set_ = list(takewhile(lambda part: "=" in part, argv[1:]))
    return argv[1 + len(set_) :], {**env, **dict(part.split("=", 1) for part in set_)}


def _program(argv: list[str]) -> list[str] | None:
    """Kind, name and arguments of a command that can be forked."""
    command, *arguments = argv
    if Path(command).parent != _BIN:
        return None
    name = Path(command).name
    if name in _ENTRIES:
        return ["entry", name, *arguments]
    if not name.startswith("python") or not arguments:
        return None
    if arguments[0] == "-m" and arguments[1] in _MODULES:
        return ["module", *arguments[1:]]
    return ["script", *arguments] if arguments[0] in _SCRIPTS else None


def _is_usual(asked: Mapping[str, object], env: Mapping[str, str]) -> bool:
    """Whether only what a fork can do is asked of Popen."""
    usual = {"preexec_fn": None, "executable": None, "shell": False, "close_fds": True,
             "gid": None, "gids": None, "uid": None, "umask": -1}  # fmt: skip
    cwd = asked["cwd"]
    is_there = cwd is None or Path(os.fsdecode(cwd)).is_dir()  # type: ignore[arg-type]
    same = all(asked[name] == value for name, value in usual.items())
    return same and is_there and _starts_alike(env)


def _starts_alike(env: Mapping[str, str]) -> bool:
    """Whether the interpreter starts as the server did, with only the product in its path."""
    changed = {
        name
        for name in env.keys() | os.environ.keys()
        if name.startswith("PYTHON") and env.get(name) != os.environ.get(name)
    }
    is_quiet = env.get("PYTHONWARNINGS") == "ignore"
    paths = [Path(path) for path in (env.get("PYTHONPATH") or "/dev/null").split(os.pathsep)]
    return (
        is_quiet
        and changed <= _SAME
        and all((path / "exporter_pipelines").is_dir() for path in paths)
    )


def _texts(args: Sequence[object]) -> list[str]:
    return [os.fsdecode(part) for part in args]  # type: ignore[arg-type]


def install() -> None:
    """Have all of this process start what can be forked as forks. Does nothing but on Linux."""
    if sys.platform != "linux":
        return
    subprocess.Popen = ForkingPopen  # type: ignore[misc]
    util.spawnv_passfds = spawnv_passfds  # type: ignore[attr-defined]


@contextmanager
def _subreaper() -> Iterator[None]:
    """Have orphans of descendants become children of this process, as a fork is for a moment."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)
