"""Days are exported to a disk with too little room, page by page more, and under `ulimit -f`."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter_pipelines.errors import OutputUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.readers import Variants, damage, leftovers
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.DISK

_PAGE = 4096


def run(trial: Trial) -> None:
    """Every limit on a file's size; then every amount of free room from nothing to enough."""
    with trial.backend() as backend:
        variants = Variants(trial, backend, 2_000, compression="none")
        _limit(trial, variants)
        with _small_disk(trial) as disk:
            _fill(trial, variants, disk)


def _fill(trial: Trial, variants: Variants, disk: Path) -> None:
    store = LocalStore(disk / "exports")
    export(variants.url, dataset(**variants.changes("a")), DAY, store)
    filler = disk / "filler"
    refused = 0
    for pages in trial.rounds(400, "sizes of free room"):
        filler.write_bytes(b"")
        free = _free(disk)
        # The first kilobytes are where folders and cards are made, then come the rows.
        room = pages * (_PAGE if pages < 20 else 4 * _PAGE)
        filler.write_bytes(bytes(max(0, free - room)))
        said = _attempt(store, variants, "b" if pages % 2 else "c")
        filler.unlink()
        what = f"{room} bytes free"
        trial.check(not (found := damage(store, variants)), f"{what}: {found}", part="tmpfs")
        trial.check(not (left := leftovers(store)), f"{what}: left {left}", part="tmpfs", points=0)
        if not said:
            break
        refused += 1
        names = all(word in said for word in (str(store.root), "bytes are free", "needed"))
        trial.check(names, f"{what}: says {said}", part="tmpfs", points=0)
    trial.figures["refused for want of room"] = refused


def _limit(trial: Trial, variants: Variants) -> None:
    store = LocalStore(trial.folder / "limited")
    export(variants.url, dataset(**variants.changes("a")), DAY, store)
    size = sum(path.stat().st_size for path in store.day_folder("logs", DAY).iterdir())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for number in trial.rounds(40, "limits of a file", share=0.4):
        limit = size * number // 30
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            said = _attempt(store, variants, "b" if number % 2 else "c")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        what = f"ulimit {limit}"
        trial.check(not (found := damage(store, variants)), f"{what}: {found}", part="ulimit")
        trial.check(not (left := leftovers(store)), f"{what}: left {left}", part="ulimit", points=0)
        if not said:
            break
        refused += 1
        names = all(word in said for word in (str(store.root), "ulimit -f", "needed"))
        trial.check(names, f"{what}: says {said}", part="ulimit", points=0)
    trial.figures["refused for ulimit"] = refused


def _attempt(store: LocalStore, variants: Variants, variant: str) -> str:
    """Export; the error's text, or nothing."""
    try:
        export(variants.url, dataset(**variants.changes(variant)), DAY, store)
    except OutputUnavailableError as error:
        return str(error)
    return ""


def _free(disk: Path) -> int:
    done = subprocess.run(
        ["df", "--output=avail", "-B1", disk], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


@contextmanager
def _small_disk(trial: Trial) -> Iterator[Path]:
    disk = trial.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        raise trial.skip("mounting a small disk needs root and a kernel that allows it")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
