"""Commands whose output nobody takes: a full disk, or a stream that the caller closed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.projects import BIN, ROOT

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device without room"),
]
COMMANDS = ["--help", "history --help", "verify", "token list"]
# Writes which files the descriptors 0 to 2 and the one after them are, into the file `opened`.
_PROBE = """
import os, sys
from pathlib import Path
from exporter_pipelines import cli
def command(prog_name):
    file = Path("opened").open("w")
    print("lost", file=sys.stderr)
    names = [str(os.stat(number).st_rdev) for number in range(3)]
    file.write(" ".join([str(file.fileno()), *names]))
cli.main = command
from exporter_pipelines.__main__ import main
main()
"""


def in_shell(folder: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of a shell in a folder without settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("EXPORTER_", "DAGSTER_"))}
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_a_full_disk_does_not_take_is_said_in_one_sentence(
    tmp_path: Path, command: str, unbuffered: str
) -> None:
    done = in_shell(tmp_path, f"{BIN}/exporter {command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    expected = "Error: the output of this command cannot be written: no space left on device. "
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "<&-"])
def test_closed_streams_are_the_null_device_and_no_file_of_a_command(
    tmp_path: Path, closed: str
) -> None:
    done = in_shell(tmp_path, f"{sys.executable} -c '{_PROBE}' {closed}")
    assert done.returncode == 0, done.stderr
    number, *devices = (tmp_path / "opened").read_text().split()
    assert int(number) > 2
    null = str(os.stat(os.devnull).st_rdev)
    for each, device in zip(("<&-", ">&-", "2>&-"), devices, strict=True):
        assert (device == null) is (each in closed.split()) or each == "<&-"


def test_a_command_with_a_closed_error_stream_does_its_work(tmp_path: Path) -> None:
    done = in_shell(tmp_path, f"{BIN}/exporter verify 2>&-")
    assert done.returncode == 0
    assert "nothing to verify" in done.stdout
