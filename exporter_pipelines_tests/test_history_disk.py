"""A full or read-only disk for Dagster's history is one sentence, not a traceback.

Dagster opens its history before it loads the project. If that fails already, only `exporter doctor`
can explain it.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from click.testing import CliRunner

from exporter_pipelines.cli import main
from exporter_pipelines.errors import HistoryUnavailableError
from exporter_pipelines.orchestration.exports.exit_messages import install_excepthook
from exporter_pipelines.orchestration.upkeep.kept_days import record_kept_days
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.servers import free_port


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        pytest.skip("mounting a file system needs root and a kernel that allows it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def mount(folder: Path, *arguments: str) -> int:
    command = ["mount", *arguments, str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.parametrize("options", [[], ["--daemon"]])
def test_a_service_that_cannot_write_its_lock_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """A folder in place of the file stands for a file of another user, which root may write."""
    monkeypatch.chdir(tmp_path)  # without the .env of a checkout
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    lock = tmp_path / ".dagster" / "supervisor.lock"
    lock.mkdir(parents=True)
    done = CliRunner().invoke(main, ["serve", "--port", str(free_port()), *options])
    assert done.exit_code == 1
    assert f"Error: The service cannot write {lock} in DAGSTER_HOME: is a directory." in done.output


def test_a_service_that_cannot_open_the_history_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without the .env of a checkout
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "history").touch()
    file = tmp_path / "dagster.yaml"
    file.write_text(f"storage: {{sqlite: {{base_dir: {tmp_path}/history}}}}\n")
    # Also where `keep` and `erase` record what they did.
    with pytest.raises(HistoryUnavailableError, match=r"cannot be opened \("):
        record_kept_days(LocalStore(tmp_path / "exports"), "logs", ["2026-11-01"])
    done = CliRunner().invoke(main, ["serve", "--port", str(free_port())])
    assert done.exit_code == 1
    assert "Error: Dagster's history cannot be opened (" in done.output
    assert f"Check {file} and its storage" in done.output


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_history_that_cannot_be_written_is_one_sentence(
    disk: Path, state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(disk))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    install_excepthook()
    engine = sqlalchemy.create_engine(f"sqlite:///{disk}/runs.db")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE runs (body TEXT)"))
    engine.dispose()  # an open file would keep the disk writable
    if state == "full":
        with contextlib.suppress(OSError), (disk / "big").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    else:
        assert mount(disk, "-o", "remount,ro") == 0
    with pytest.raises(sqlalchemy.exc.OperationalError) as raised, engine.begin() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO runs VALUES (:b)"), {"b": "x" * 50_000})
    sys.excepthook(type(raised.value), raised.value, raised.value.__traceback__)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"Error: Dagster cannot write its history in {disk}: ")
    assert "exporter doctor" in line
