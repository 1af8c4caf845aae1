"""The tools of `make torture` work; what its campaigns look for has tests as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines_tests.support.projects import ROOT
from exporter_pipelines_tests.torture.__main__ import campaign_names
from exporter_pipelines_tests.torture.mutants import MUTANTS, Mutant
from exporter_pipelines_tests.torture.trial import Trial
from exporter_pipelines_tests.torture.turns import Task, take_turns


def torture(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter_pipelines_tests.torture", "--build", folder, *arguments],
        cwd=ROOT,
        env={**os.environ, "TORTURE_SECONDS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_campaign_runs_within_its_time_and_its_figures_are_written(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_TEST_POSTGRES_URL", postgres_url)
    done = torture(tmp_path, "idempotent")
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = json.loads((tmp_path / "torture.json").read_text())
    assert set(record) == {"promise", "campaign", "points", "bad"}
    assert record["campaign"] == "idempotent"
    assert record["points"] > 0
    assert "held   atomic, idempotent replacement: idempotent:" in done.stdout
    assert "distinct sha256 (one file) 1," in done.stdout
    assert "| `idempotent` |" in torture(tmp_path, "--table").stdout


def test_a_campaign_that_dies_is_a_broken_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_TEST_POSTGRES_URL", "postgresql://nobody@localhost:1/none")
    done = torture(tmp_path, "idempotent")
    assert done.returncode == 1
    assert "BROKEN " in done.stdout
    [record] = json.loads((tmp_path / "torture.json").read_text())
    assert record["bad"] == 1


def test_an_unknown_campaign_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = torture(tmp_path, "kill")
    assert done.returncode == 2
    assert "there is no campaign 'kill' (there are:" in done.stderr


def test_every_campaign_names_a_promise() -> None:
    assert "idempotent" in campaign_names()  # it looks each of them up


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_changes_a_line_and_its_test_exists(mutant: Mutant) -> None:
    mutant.applied(ROOT / "exporter_pipelines")
    module, _, function = mutant.test.partition("::")
    source = (ROOT / "exporter_pipelines_tests" / f"{module}.py").read_text()
    assert f"def {function}(" in source


def test_points_and_rounds_are_counted(tmp_path: Path) -> None:
    trial = Trial(1, 60, tmp_path)
    for number in trial.rounds(3):
        trial.check(number != 1, f"round {number}")
        trial.check(True, "never printed", part="part", points=10)
    assert (trial.counts[""].points, trial.counts[""].bad) == (3, 1)
    assert trial.counts["part"].points == 30
    assert trial.details == ["round 1"]
    late = Trial(1, 0, tmp_path)
    assert list(late.rounds(3, "kills")) == [0]
    assert late.short == ["1 of 3 kills"]


def test_tasks_take_turns_until_each_is_done(tmp_path: Path) -> None:
    taken: list[str] = []

    def steps(name: str) -> Iterator[int]:
        for number in range(1, 5):
            taken.append(name)
            yield number

    trial = Trial(1, 60, tmp_path)
    short_one, long_one = Task(2, "short", steps("a")), Task(9, "long", steps("b"))
    take_turns(trial, [short_one, long_one], turn_s=0)
    assert "".join(taken) == "ababbb"
    assert (short_one.reached, long_one.reached, trial.short) == (2, 4, [])


def test_tasks_that_the_time_did_not_suffice_for_are_named(tmp_path: Path) -> None:
    late = Trial(1, 0, tmp_path)
    take_turns(late, [Task(1, "kills, here", iter([1])), Task(200, "kills, there", iter([1, 2]))])
    assert late.short == ["1 of 200 kills, there"]
