"""A copy of the project on disk, driven by Dagster's own commands in processes of their own."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import exporter_pipelines
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines_tests.support.definitions import copy_definitions

ROOT = Path(exporter_pipelines.__file__).parent.parent
_FILES = ("pyproject.toml", "workspace.yaml", "dagster.yaml")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Project:
    """A project folder: what a user has after cloning and editing `.env`.

    Attributes:
        path: The folder; also DAGSTER_HOME.
        output: Where its exports go.
    """

    path: Path
    output: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes: nothing of the developer's own settings, except the driver."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == "EXPORTER_POSTGRES_DRIVER" or not name.startswith(("EXPORTER_", "DAGSTER_"))
        }
        return {**kept, "PYTHONPATH": str(self.path), "PYTHONWARNINGS": "ignore"}

    def edit(self, dataset: str, old: str, new: str) -> None:
        """Replace a text in a dataset's defs.yaml."""
        file = self.path / "exporter_pipelines" / "defs" / dataset / "defs.yaml"
        text = file.read_text()
        assert old in text, f"{old!r} is not in {file}"
        file.write_text(text.replace(old, new))

    def hurry_sensors(self) -> None:
        """Have the sensors that look at runs tick every 3 seconds instead of 30."""
        for name in ("upkeep/dead_runs.py", "alerts/run_alerts.py"):
            file = self.path / "exporter_pipelines" / "orchestration" / name
            old, new = (f"minimum_interval_seconds={seconds}," for seconds in (30, 3))
            text = file.read_text()
            assert old in text, f"{old!r} is not in {file}"
            file.write_text(text.replace(old, new))

    def set(self, **settings: str) -> None:
        """Change settings in .env."""
        file = self.path / ".env"
        kept = [
            line for line in file.read_text().splitlines() if line.split("=")[0] not in settings
        ]
        file.write_text("\n".join([*kept, *(f"{k}={v}" for k, v in settings.items())]) + "\n")

    def materialize(self, select: str, *, timeout: float = 600, **options: str) -> Finished:
        """`dagster asset materialize` with `partition=` or `partition_range=`."""
        return self.dagster(*_materialize(select, options), timeout=timeout)

    def start(
        self, select: str, *, within: Sequence[str] = (), **options: str
    ) -> subprocess.Popen[str]:
        """Begin `materialize` and return at once; the caller waits for it or ends it.

        Args:
            select: The assets.
            within: A command that becomes the given command.
            **options: `partition` or `partition_range`.
        """
        return subprocess.Popen(
            [*within, BIN / "dagster", *_materialize(select, options)],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dagster(self, *arguments: str, timeout: float = 600) -> Finished:
        """Run `dagster` in the project folder."""
        return self._run("dagster", arguments, timeout)

    def exporter(self, *arguments: str, timeout: float = 600, **shell: str) -> Finished:
        """Run `exporter` in the project folder; `shell` are variables of the shell."""
        return self._run("exporter", arguments, timeout, shell)

    def python(self, code: str, *, timeout: float = 600) -> Finished:
        """Run a piece of Python in the project folder, under its `.env`."""
        load = "from exporter_pipelines import dotenv_file; dotenv_file.load_dotenv()\n"
        return self._run("python", ("-c", load + code), timeout)

    def _run(
        self,
        command: str,
        arguments: tuple[str, ...],
        timeout: float,
        shell: dict[str, str] | None = None,
    ) -> Finished:
        done = subprocess.run(
            [BIN / command, *arguments],
            cwd=self.path,
            env={**self.environment, **(shell or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def manifest(self, dataset: str, day: str) -> Manifest | None:
        """The published manifest of a day, or None."""
        file = self.output / dataset / "data" / f"date={day}" / MANIFEST_NAME
        return Manifest.from_json(file.read_bytes()) if file.exists() else None


def run_locks_of(project: Project) -> list[Path]:
    """Lock files of the runs of a project."""
    return sorted((project.path / ".dagster/storage/run_locks").glob("*.lock"))


def _materialize(select: str, options: dict[str, str]) -> list[str]:
    arguments = [part for k, v in options.items() for part in (f"--{k.replace('_', '-')}", v)]
    module = ["-m", "exporter_pipelines.definitions"]
    return ["asset", "materialize", *module, "--select", select, *arguments]


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last paragraph on standard error: what an operator reads."""
        return self.stderr.strip().rpartition("\n\n")[2]


def copy_project(path: Path, settings: dict[str, str]) -> Project:
    """Copy the package with the tests' definitions, and write a .env."""
    _compile_package()
    path.mkdir(parents=True)
    for name in _FILES:
        shutil.copy(ROOT / name, path)
    shutil.copytree(
        ROOT / "exporter_pipelines",
        path / "exporter_pipelines",
        ignore=_without_definitions,
    )
    copy_definitions(path / "exporter_pipelines" / "defs")
    lines = [f"DAGSTER_HOME={path}", *(f"{key}={value}" for key, value in settings.items())]
    (path / ".env").write_text("\n".join(lines) + "\n")
    return Project(path, Path(settings["EXPORTER_OUTPUT_URL"]))


def _without_definitions(folder: str, names: list[str]) -> set[str]:
    """Of a folder of the package, what is not copied."""
    ours = Path(folder) == ROOT / "exporter_pipelines"
    return {name for name in names if ours and name == "defs"}


@cache
def _compile_package() -> None:
    """Have each copy contain bytecode. Otherwise its processes compile the package, 0.4 s each."""
    compileall.compile_dir(ROOT / "exporter_pipelines", quiet=2)
