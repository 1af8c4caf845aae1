"""A full or read-only disk for Dagster's history ends a command with one sentence."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.projects import Project, copy_project
from exporter_pipelines_tests.test_command_line import project_of

DAY = "2026-11-01"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount(folder, "-t", "tmpfs", "-o", "size=16m", "tmpfs"):
        pytest.skip("mounting a file system needs root and a kernel that allows it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, *arguments: str) -> int:
    command = ["mount", *arguments, str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def project(backend: Backend, disk: Path, tmp_path: Path) -> Project:
    """A project whose DAGSTER_HOME is the small disk, with an initialized history."""
    backend.add_logs(DAY, 10)
    found = project_of(backend, tmp_path / "project")
    text = (found.path / "dagster.yaml").read_text()
    (disk / "dagster.yaml").write_text(text.replace("base_dir: .dagster", f"base_dir: {disk}"))
    found.set(DAGSTER_HOME=str(disk))
    assert found.materialize("logs", partition=DAY).code == 0
    return found


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_history_that_cannot_be_written_is_one_sentence(
    project: Project, disk: Path, state: str
) -> None:
    if state == "full":
        with pytest.raises(OSError), (disk / "big").open("wb", buffering=0) as file:  # noqa: PT011
            while True:
                file.write(bytes(4096))
    else:
        assert mount(disk, "-o", "remount,ro") == 0
    done = project.materialize("logs", partition=DAY)
    assert done.code != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"Error: Dagster cannot write its history in {disk}: "), done.stderr
    assert "exporter doctor" in last
