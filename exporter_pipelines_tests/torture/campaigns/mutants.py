"""Every mistake of a list is made in a copy of the project; the suite must notice each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.torture.mutants import MUTANTS, Mutant
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ACCOUNTED

_PASSED, _FAILED = 0, 1


def run(trial: Trial) -> None:
    """The named tests pass in the copy as it is, and each fails with its mistake."""
    copy = _copy(trial.folder / "project")
    tests = sorted({mutant.test for mutant in MUTANTS})
    trial.check(_run(trial, copy, tests) == _PASSED, "the tests do not pass without mistakes")
    order = trial.dice.sample(MUTANTS, len(MUTANTS))
    for number in trial.rounds(len(order), "mutants"):
        mutant = order[number]
        code = _mutated(trial, copy, mutant)
        trial.check(code == _FAILED, f"{mutant.name}: {mutant.test} ends with {code}")
    trial.figures["mutants caught"] = trial.counts[""].points - trial.counts[""].bad - 1


def _mutated(trial: Trial, copy: Path, mutant: Mutant) -> int:
    package = copy / "exporter_pipelines"
    file = package / mutant.file
    sound, changed = file.read_text(), mutant.applied(package)
    file.write_text(changed)
    try:
        return _run(trial, copy, [mutant.test])
    finally:
        file.write_text(sound)


def _copy(path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("exporter_pipelines", "exporter_pipelines_tests"):
        shutil.copytree(ROOT / name, path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", path)
    return path


def _run(trial: Trial, copy: Path, tests: list[str]) -> int:
    named = ["exporter_pipelines_tests/" + test.replace("::", ".py::") for test in tests]
    return subprocess.run(
        # Without compiled files: a mutant may be as old and as long as the sound file.
        [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", *named],
        cwd=copy,
        env={
            **os.environ,
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "EXPORTER_TEST_POSTGRES_URL": trial.server_url,
        },
        capture_output=True,
        check=False,
    ).returncode
