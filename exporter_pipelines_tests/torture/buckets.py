"""For the campaigns over buckets: servers, readers beside the writers, and very small exports."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.contracts.publication import Publication
from exporter_pipelines.stores import layout
from exporter_pipelines.stores.objects import keys
from exporter_pipelines.stores.objects.store import ObjectStore
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.object_servers import (
    ObjectServer,
    azurite,
    azurite_program,
    seaweedfs,
    weed_program,
)
from exporter_pipelines_tests.torture.attempts import DAY
from exporter_pipelines_tests.torture.readers import Variants
from exporter_pipelines_tests.torture.trial import Trial

_PAUSE_S = 0.004


@contextmanager
def servers(trial: Trial) -> Iterator[dict[str, ObjectServer]]:
    """The servers that can be started here, by the name of their program."""
    found = {}
    if weed_program():
        found["seaweedfs"] = seaweedfs
    if azurite_program():
        found["azurite"] = azurite
    else:
        trial.figures["azurite"] = "not installed"
    if not found:
        raise trial.skip("neither seaweedfs (pip) nor azurite (npm) is installed")
    with ExitStack() as stack:
        running = {}
        for name, start in found.items():
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="exporter-bucket-"))
            running[name] = stack.enter_context(start(Path(folder)))
        yield running


@contextmanager
def reading(
    trial: Trial, server: ObjectServer, name: str, variants: Variants, grace_s: float
) -> Iterator[None]:
    """Read the day all the time: two readers follow the pointer, one lists the view.

    Each read is a point of the part `verified reads` or `glob reads`.

    Args:
        trial: Counts.
        server: Of the output.
        name: Of its program, for the figures.
        variants: What may be found.
        grace_s: For so long, the sweeps of the campaign leave a replaced export to its readers.
    """
    stopped = threading.Event()
    results: dict[str, list[str]] = {"verified reads": [], "glob reads": []}

    def repeat(part: str, read: Callable[[ObjectStore], str | None]) -> None:
        store = open_bucket(server)
        while not stopped.is_set():
            try:
                problem = read(store)
            except Exception as error:  # whatever it is, the promise is broken
                problem = f"{type(error).__name__}: {error}"
            if problem is not None:
                results[part].append(problem)
            time.sleep(_PAUSE_S)

    def verified(store: ObjectStore) -> str | None:
        return _verified(store, variants, grace_s)

    def globbed(store: ObjectStore) -> str:
        return not_a_variant(store, variants)

    jobs = [("verified reads", verified), ("verified reads", verified), ("glob reads", globbed)]
    threads = [threading.Thread(target=repeat, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        for part, found in results.items():
            trial.add(f"{name}: {part}", len(found))
            for problem in found:
                trial.check(not problem, problem, part=part)


def _verified(store: ObjectStore, variants: Variants, grace_s: float) -> str | None:
    """Read the published day through its pointer; one that was replaced for long is no point."""
    began = time.monotonic()
    data = store.published_day("logs", DAY)
    manifest = Manifest.from_json(data.read_small(MANIFEST_NAME))
    try:
        for file in manifest.files:
            with data.open(file.path) as content:
                found = content.read()
            if hashlib.sha256(found).hexdigest() != file.sha256:
                return f"{file.path} is not what its manifest says: {_about(found, variants)}"
            if file.sha256 not in _known(variants):
                return f"{file.path} is not of these exports: {_about(found, variants)}"
    except FileNotFoundError as error:
        # The clock of a store has whole seconds.
        too_soon = time.monotonic() - began < grace_s - 1
        return f"a file of the published day is gone: {error}" if too_soon else None
    return ""


def not_a_variant(store: ObjectStore, variants: Variants) -> str:
    """What is wrong with what a glob finds; empty for the one file of a variant."""
    listed = store.bucket.listed(keys.view("logs", DAY))
    files = [each for each in listed if each.name != MANIFEST_NAME]
    if len(files) != 1:
        return f"a glob finds {[each.name for each in files]}"
    found = store.bucket.read(files[0].key)
    if found is None:
        return "a glob finds a file that is gone"
    if hashlib.sha256(found.content).hexdigest() in _known(variants):
        return ""
    about = _about(found.content, variants)
    return f"a glob in {store.location} finds other content, listed with {files[0].size}: {about}"


def _known(variants: Variants) -> set[str]:
    return {file for files in variants.files.values() for file in files}


def _about(content: bytes, variants: Variants) -> str:
    """How a content differs from the variant that it resembles most."""
    begins = {}
    for variant, folder in variants.folders.items():
        for known in (path.read_bytes() for path in folder.glob("logs-*")):
            both = zip(known, content, strict=False)
            same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], both))
            begins[same] = f"the first {same:,} are those of {variant}, which has {len(known):,}"
    zeros = len(content) - len(content.rstrip(b"\0"))
    return f"{len(content):,} bytes, {begins[max(begins)]}; the last {zeros:,} are zeros"


def publisher(store: ObjectStore) -> str:
    """The run that has published the day."""
    data = store.read_manifest("logs", DAY)
    return Manifest.from_json(data).run.run_id if data else "nobody"


def chain_is_broken(store: ObjectStore) -> str:
    """Whether an export was lost: each one must have replaced the one before it."""
    entries = [each for each in store.read_ledger("logs", DAY)[0] if each.event == "published"]
    before = None
    for entry in entries:
        if entry.replaces != before:
            return f"{entry.run} replaced another export than the one before it"
        before = entry.generation
    return "" if before == store.generation("logs", DAY) else "the newest export is not published"


class SmallDay:
    """Publishes the content of a day that was exported before, without a database.

    Args:
        store: Has the day, with rejected rows.
    """

    def __init__(self, store: ObjectStore) -> None:
        with store.published_day("logs", DAY) as day:
            self._manifest = Manifest.from_json(day.read_small(MANIFEST_NAME))
            self._files = {}
            for each in self._manifest.files:
                with day.open(each.path) as file:
                    self._files[each.path] = file.read()
        assert self._manifest.quarantine
        name = PurePosixPath(self._manifest.quarantine.path).name
        with store.open_quarantine("logs", DAY, name) as file:
            self._rejected = file.read()

    def publish(self, store: ObjectStore, run_id: str = "") -> None:
        """Publish it once more, as another run."""
        run_id = run_id or secrets.token_hex(8)
        with store.begin("logs", DAY) as staging:
            stem = layout.quarantine_stem("logs", DAY, run_id, staging.generation)
            rejected = f"{stem}.jsonl.gz"
            for name, content in (*self._files.items(), (rejected, self._rejected)):
                file = staging.create(name, private=name == rejected)
                file.write(content)
                file.close()
            manifest = self._manifest_of(run_id, rejected)
            entry = Entry(
                event="published",
                dataset="logs",
                day=DAY,
                data_version=manifest.data_version,
                run=run_id,
            )
            store.switch(staging, Publication(manifest.to_json(), entry, rejected))

    def _manifest_of(self, run_id: str, rejected: str) -> Manifest:
        old = self._manifest
        assert old.quarantine
        path = layout.quarantine_path(DAY, rejected)
        changes = {
            "run": old.run.model_copy(update={"run_id": run_id}),
            "quarantine": old.quarantine.model_copy(update={"path": path}),
        }
        return old.model_copy(update=changes).sealed()
