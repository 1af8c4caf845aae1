"""Fifty subjects are erased from sixty days of three datasets and a preset, while it is killed.

The days are raw, and under policies with an epoch per month and per quarter. Afterwards no byte of
the output folder has a subject or a pseudonym of one, every other row is unchanged, and late rows
and a full export bring nothing back.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from exporter_pipelines.engine.erase import Erase
from exporter_pipelines.engine.erase_scope import Scope
from exporter_pipelines.engine.subject_forms import SubjectForms
from exporter_pipelines.privacy.subjects import Subject
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.erasures import World, all_datasets
from exporter_pipelines_tests.support.private_days import KEY, KEY_NAME
from exporter_pipelines_tests.support.processes import FORKS
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.ERASED
KILLS = 20


def run(trial: Trial) -> None:
    """20 kills, then what is left, what has changed, and what comes back."""
    os.environ[KEY_NAME] = KEY
    world = World(trial.folder, subjects=50, days=60, per_day=16, seed=trial.seed, everyone=300)
    began = time.monotonic()
    world.export_all()
    trial.figures["export of 240 days"] = f"{time.monotonic() - began:.0f} s"
    before = world.snapshot()
    trial.figures["subjects that were there"] = len(world.left())
    _kill(trial, world)
    began = time.monotonic()
    problems = world.erase()
    trial.figures["the run that finished it"] = f"{time.monotonic() - began:.0f} s"
    trial.check(not problems, f"could not be searched: {problems[:3]}", part="erased")
    _gone(trial, world, "erased")
    wrong = world.changed_rows(before, world.snapshot())
    rows = sum(map(len, before.values()))
    trial.check(not wrong, f"other rows: {wrong[:3]}", part="other rows", points=rows)
    trial.figures["rows erased"] = world.erased_rows()
    for day in world.partitions[::3]:
        world.add(day, 20)
    world.export_all()
    _gone(trial, world, "after late rows and a full export")
    trial.figures["rows erased at the end"] = world.erased_rows()


def _kill(trial: Trial, world: World) -> None:
    """Kill the command at random moments; days must be whole."""
    for number in trial.rounds(KILLS, "kills", share=0.5):
        process = FORKS.Process(
            target=erase_all,
            args=(world.store.root, world.erased_users, world.erased_addresses),
        )
        process.start()
        process.join(trial.dice.uniform(0.3, 3.0))
        if process.is_alive():
            process.kill()
        process.join(60)
        found = world.damage(some=10)
        trial.check(not found, f"kill {number}: {found[:3]}", part="kills")


def _gone(trial: Trial, world: World, when: str) -> None:
    left, damage = world.left(), world.damage()
    points = len(world.erased_users) + len(world.erased_addresses)
    trial.check(not left, f"{when}: {len(left)} are left, {left[:3]}", part=when, points=points)
    trial.check(not damage, f"{when}: {damage[:3]}", part=when)


def erase_all(root: Path, users: list[str], addresses: list[str]) -> None:
    """Both requests, in a process of its own."""
    os.environ[KEY_NAME] = KEY
    datasets = {each.name: each for each in all_datasets()}
    requests = (
        ("R-users", [Subject.of("user", value) for value in users]),
        ("R-ips", [Subject.of("ip", value) for value in addresses]),
    )
    for request, subjects in requests:
        run = Erase(Scope(LocalStore(root), SubjectForms(subjects, request), datasets, apply=True))
        for _ in run.run():
            pass
