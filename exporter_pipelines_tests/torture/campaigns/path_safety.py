"""Hostile names, and links to a victim's folder planted at every level of the output."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day, verify_folders
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.PATHS

DAY = "2026-11-01"
NAMES = [
    "../x", "/abs", "a/b", "a\0b", "a\nb", "logs.", "logs ", "l" * 300, "l\u043egs", "LOGS", "..",
    ".", "", "date=2026-11-01", ".staging", "%2e%2e", "logs\u202e", "~", "C:\\x",
]  # fmt: skip
PLACES = [
    "logs", "logs/data", f"logs/data/date={DAY}", "logs/.staging", "logs/.superseded",
    "logs/.locks", f"logs/.locks/date={DAY}", "logs/quarantine",
    f"logs/quarantine/date={DAY}", "logs/README.md",
    "logs/schema.json", f"logs/data/date={DAY}/_manifest.json",
    f"logs/data/date={DAY}/logs-{DAY}.jsonl.gz",
]  # fmt: skip
MODES = {"private": 0o600, "file": 0o640, "folder": 0o750}


def run(trial: Trial) -> None:
    """No name and no link leads out of the output; modes are what they are meant to be."""
    with trial.backend() as backend:
        backend.add_logs(DAY, 50)
        backend.add_logs(DAY, 2, first_id=500, level="odd")
        victim = _victim(trial.folder / "victim")
        before = _state(victim)
        store = LocalStore(trial.folder / "exports")
        for name in NAMES:
            _hostile(trial, store, name)
        trial.check(not store.root.exists(), "a hostile name made something", part="names")
        for number in trial.rounds(len(PLACES) * 3 * 2, "planted links", share=0.8):
            place, target = PLACES[number % len(PLACES)], number // len(PLACES) % 3
            shutil.rmtree(store.root, ignore_errors=True)
            if number >= len(PLACES) * 3:  # over a published day
                export(backend.url, dataset(), DAY, store)
            _plant(store.root / place, _target(victim, target))
            _use(store, lambda: export(backend.url, dataset(), DAY, store))
            trial.check(_state(victim) == before, f"{place}: the victim was changed", part="links")
        _modes(trial, backend.url, store)


def _hostile(trial: Trial, store: LocalStore, name: str) -> None:
    acts: dict[str, Callable[[], object]] = {
        "begin": lambda: store.begin(name, DAY),
        "begin a day": lambda: store.begin("logs", name),
        "load": lambda: open_day(store, name, DAY),
        "load a day": lambda: open_day(store, "logs", name),
        "define": lambda: _defined(name),
    }
    for act, call in acts.items():
        try:
            call()
        except (ExporterError, ValueError):
            refused = True
        else:
            refused = False
        trial.check(refused, f"{act} {name!r} was not refused", part="names")


def _defined(name: str) -> Dataset:
    config = dataset().config.model_dump(by_alias=True) | {"name": name}
    return Dataset(type(dataset().config)(**config), dataset().schema)


def _use(store: LocalStore, act: Callable[[], object]) -> None:
    """Export, verify and load; each may refuse, none may reach the victim."""
    for call in (
        act,
        lambda: verify_folders(store, "logs", {"logs"}),
        lambda: verify_day(store, "logs", DAY),
        lambda: open_day(store, "logs", DAY).read_all(),
    ):
        try:
            call()
        except ExporterError:
            continue


def _victim(folder: Path) -> Path:
    for name in (f"date={DAY}", "data", f"date={DAY}.0123456789abcdef"):
        (folder / name).mkdir(parents=True)
        (folder / name / "_manifest.json").write_text("precious")
        (folder / f"{name}.lock").write_text("precious")
    (folder / "file").write_text("precious")
    os.utime(folder / f"date={DAY}", (0, 0))
    return folder


def _target(victim: Path, number: int) -> Path:
    return (victim, victim / "file", victim / "not there")[number]


def _plant(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


def _state(folder: Path) -> list[tuple[str, int, str]]:
    return [
        (
            str(path.relative_to(folder)),
            path.lstat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    ]


def _modes(trial: Trial, url: str, store: LocalStore) -> None:
    for umask in (0o000, 0o022, 0o077, 0o777):
        shutil.rmtree(store.root, ignore_errors=True)
        old = os.umask(umask)
        try:
            export(url, dataset(), DAY, store)
            export(url, dataset(max_file_records=20), DAY, store)
        finally:
            os.umask(old)
        for path in store.root.rglob("*"):
            private = {"quarantine", ".fingerprints", ".ledger", ".exporter-output.json"} & {
                *path.relative_to(store.root).parts
            }
            kind = "folder" if path.is_dir() else "private" if private else "file"
            mode = stat.S_IMODE(path.stat().st_mode)
            trial.check(
                mode == MODES[kind],
                f"umask {umask:03o}: {path.relative_to(store.root)} has mode {mode:o}",
                part="modes",
            )
