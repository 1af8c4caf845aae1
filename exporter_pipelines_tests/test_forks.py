"""The tests' own processes: what is forked is what `subprocess` would have started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import util
from pathlib import Path

import pytest

from exporter_pipelines_tests.support import forks
from exporter_pipelines_tests.support.projects import BIN, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")

HERE = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def started(*command: object, **options: object) -> subprocess.Popen[str]:
    """A command with pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    given = {"env": HERE, "text": True, **pipes, **options}
    return subprocess.Popen([str(part) for part in command], **given)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """A script that is forked, as the daemon of the tests is, in the folder `tmp_path`."""

    def written(code: str) -> tuple[str, str]:
        (tmp_path / "dagster-daemon.py").write_text(code)
        return sys.executable, "dagster-daemon.py"

    return written


def test_a_fork_is_a_child_with_this_command_output_folder_and_exit_code(
    tmp_path: Path, script: Callable[[str], tuple[str, str]]
) -> None:
    command = script("import os, sys; print(os.environ['A'], input()); sys.exit('no')")
    before = forks.SERVER.forked
    with started(*command, cwd=tmp_path, env={**HERE, "A": "a"}) as process:
        parent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1]
        shown = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")
        folder = Path(f"/proc/{process.pid}/cwd").readlink()
        printed = process.communicate("b\n", timeout=60)
    assert forks.SERVER.forked == before + 1
    assert (parent, shown, folder) == (str(os.getpid()), list(command), tmp_path)
    assert (process.returncode, printed) == (1, ("a b\n", "no\n"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_fork_ends_by_signals(
    tmp_path: Path, script: Callable[[str], tuple[str, str]], number: int
) -> None:
    with started(*script("print(flush=True); input()"), cwd=tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(60) == -number


def test_a_fork_has_the_session_and_group_that_are_asked_for() -> None:
    with started(BIN / "exporter", "--help", start_new_session=True) as leader:
        assert os.getsid(leader.pid) == os.getpgid(leader.pid) == leader.pid
    with started(BIN / "exporter", "--help", process_group=0) as alone:
        assert (os.getsid(alone.pid), os.getpgid(alone.pid)) == (os.getsid(0), alone.pid)
    with pytest.raises(PermissionError):
        started(BIN / "exporter", "--help", process_group=2**22)


def test_a_fork_has_the_file_descriptors_that_are_passed() -> None:
    read, write = os.pipe()
    with started(BIN / "exporter", "--help", pass_fds=[write]) as process:
        opened = {int(fd.name) for fd in Path(f"/proc/{process.pid}/fd").iterdir()}
    os.close(read)
    os.close(write)
    assert {0, 1, 2, write} <= opened
    assert read not in opened


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ([sys.executable, "-c", "1"], {}),
        (["/bin/true"], {}),
        ([BIN / "exporter", "--help"], {"preexec_fn": os.getpid}),
        ([BIN / "exporter", "--help"], {"env": {**HERE, "PYTHONHASHSEED": "1"}}),
        ([BIN / "exporter", "--help"], {"env": {**HERE, "PYTHONWARNINGS": "default"}}),
        ([BIN / "exporter", "--help"], {"env": {**HERE, "PYTHONPATH": "/"}}),
        (
            [BIN / "exporter", "--help"],
            {"env": {**HERE, "PYTHONPATH": ""}, "cwd": "/"},
        ),
    ],
)
def test_what_cannot_be_a_fork_is_started_as_usual(
    command: list[object], options: dict[str, object]
) -> None:
    before = forks.SERVER.forked
    with started(*command, **options) as process:
        assert process.wait(60) == 0
    assert forks.SERVER.forked == before


def test_a_process_of_multiprocessing_is_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "spawnv_passfds", forks.spawnv_passfds)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    before = forks.SERVER.forked
    process = multiprocessing.get_context("spawn").Process(target=os._exit, args=(7,))
    process.start()
    process.join(60)
    assert (process.exitcode, forks.SERVER.forked) == (7, before + 1)
