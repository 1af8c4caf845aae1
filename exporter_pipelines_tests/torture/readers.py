"""Readers beside the writers: one verifies against the manifest, one globs and hopes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.compute as pc

from exporter_pipelines.contracts.ledger import DayRecord
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.trial import Trial

VARIANTS = "abcd"
_PAUSE_S = 0.006
"""Between two reads, so that readers leave processor time to the writers."""


class Variants:
    """The same day with four contents, as views; every row of one says which it is.

    Attributes:
        files: What an undisturbed export publishes: variant -> its files' sha256s.
        folders: Where that is: variant -> folder.
    """

    def __init__(self, trial: Trial, backend: Backend, rows: int, **changes: object) -> None:
        self.url, self._changes = backend.url, changes
        backend.add_logs(DAY, rows)
        backend.add_logs(DAY, 3, first_id=10 * rows, level="odd")
        self.files: dict[str, list[str]] = {}
        self.folders: dict[str, Path] = {}
        for variant in VARIANTS:
            backend.run(
                f"CREATE VIEW logs_{variant} AS SELECT id, timestamp, level, md5((id + "
                f"{ord(variant)})::text) AS message, '{variant}' AS source, device, ip, "
                "attributes FROM logs"
            )
            undisturbed = LocalStore(trial.folder / f"undisturbed-{variant}")
            manifest = export(self.url, dataset(**self.changes(variant)), DAY, undisturbed)
            self.files[variant] = [file.sha256 for file in manifest.files]
            self.folders[variant] = undisturbed.day_folder("logs", DAY)

    def changes(self, variant: str) -> dict[str, object]:
        """What makes the shipped dataset this variant."""
        return {**self._changes, "source": {"table": f"logs_{variant}"}}

    def published_as(self, variant: str) -> str:
        """What an `Attempt` that published the undisturbed bytes says."""
        return " ".join(["published", *self.files[variant]])


def damage(store: LocalStore, variants: Variants) -> str:
    """What is wrong with the published day; empty when it is one of the variants, whole.

    Looks at the folder itself: no reader's patience hides anything. For moments without a writer.
    """
    folder = store.day_folder("logs", DAY)
    try:
        manifest = Manifest.from_json((folder / MANIFEST_NAME).read_bytes())
        lying = {path.name: _sha256(path) for path in folder.iterdir()}
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    lying.pop(MANIFEST_NAME)
    if lying != {file.path: file.sha256 for file in manifest.files}:
        return f"the folder holds {lying}, the manifest says {manifest.files}"
    if [file.sha256 for file in manifest.files] not in variants.files.values():
        return "the content is that of no variant"
    if manifest.quarantine:
        quarantine = store.root / "logs" / manifest.quarantine.path
        if not quarantine.exists() or _sha256(quarantine) != manifest.quarantine.sha256:
            return f"the quarantine {manifest.quarantine.path} is not what the manifest says"
    strange = {path.name for path in folder.parent.iterdir()} - {folder.name}
    if strange:
        return f"data/ also holds {strange}"
    generation = store.generation("logs", DAY)
    record = DayRecord.of(store.entries("logs", DAY), generation)
    agrees = record.expected == generation
    return "" if agrees else f"the ledger does not expect this export: {record.entries[-3:]}"


def leftovers(store: LocalStore) -> list[str]:
    """What an attempt after a dead one should have removed; call it when nothing runs."""
    left = [path.name for path in (store.root / "logs" / ".staging").iterdir()]
    quarantines = list(store.quarantine_folder("logs", DAY).iterdir())
    beside = [p.name for p in (store.root / "logs").glob(".*.*") if p.is_file()]
    return [*left, *beside, *(path.name for path in quarantines[1:])]


@contextmanager
def reading(
    trial: Trial, store: LocalStore, variants: Variants, *, naively: bool = True
) -> Iterator[None]:
    """Read a published day all the time; each read is a point of the part `reads`.

    Args:
        trial: Counts.
        store: Where the day is.
        variants: What may be found.
        naively: Glob as well. Of a day in several parts a glob may find two exports.
    """
    known = {tuple(files) for files in variants.files.values()}
    columns = [file for files in known for file in files]

    def verified() -> str:
        rows = open_day(store, "logs", DAY).read_all()
        sources = pc.unique(rows["source"]).to_pylist()
        return "" if len(sources) == 1 and len(rows) else f"rows of {sources}"

    def globbed() -> str:
        found = list(store.root.glob("logs/data/date=*/logs-*"))
        if len(found) != 1:
            return f"a glob finds {len(found)} files"
        return "" if _sha256(found[0]) in columns else "a glob finds other content"

    readers = [verified, verified, *([globbed] if naively else [])]
    stopped = threading.Event()
    results: list[list[str]] = [[] for _ in readers]
    threads = [
        threading.Thread(target=_repeat, args=(read, stopped, found))
        for read, found in zip(readers, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        for problem in (problem for found in results for problem in found):
            trial.check(not problem, problem, part="reads")


def _repeat(read: Callable[[], str], stopped: threading.Event, found: list[str]) -> None:
    while not stopped.is_set():
        try:
            found.append(read())
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
        time.sleep(_PAUSE_S)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
