"""What late data compares is kept beside the exports, for their owner only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exporter_pipelines.contracts.ledger import Entry
from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest, sealed_json
from exporter_pipelines.contracts.publication import generation_of
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.files import replace_file
from exporter_pipelines.verification.days import verify_day, verify_folders
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, export_days

DAYS = ("2026-11-01", "2026-11-02", "2026-11-03")


@pytest.fixture
def published(backend: Backend, store: LocalStore) -> Backend:
    """Three published days."""
    for number, day in enumerate(DAYS):
        backend.add_logs(day, 10, first_id=1000 * number)
    export_days(backend.url, dataset(), DAYS, store)
    return backend


def fingerprint(store: LocalStore, day: str) -> str | None:
    return store.read_fingerprint("logs", day, generation_of(store.read_manifest("logs", day)))


def manifest_of(store: LocalStore, day: str) -> Path:
    return store.day_folder("logs", day) / MANIFEST_NAME


def test_no_published_file_has_it(published: Backend, store: LocalStore) -> None:
    known = fingerprint(store, DAYS[0])
    assert known
    for file in (path for path in store.root.rglob("*") if path.is_file()):
        hidden = ".fingerprints" in file.parts
        assert (known.encode() in file.read_bytes()) == (hidden and file.name.endswith(DAYS[0]))
        assert not hidden or file.stat().st_mode & 0o777 == 0o600


def test_it_is_that_of_the_published_generation(published: Backend, store: LocalStore) -> None:
    first, before = fingerprint(store, DAYS[0]), store.read_manifest("logs", DAYS[0])
    published.add_logs(DAYS[0], 1, first_id=5000)
    export(published.url, dataset(), DAYS[0], store)
    assert fingerprint(store, DAYS[0]) not in (None, first)
    # A run that dies before the switch leaves both, so that either generation has its own.
    assert store.read_fingerprint("logs", DAYS[0], generation_of(before)) == first
    assert store.read_fingerprint("logs", DAYS[0], "0" * 64) is None


def test_damage_and_links_are_unknown(published: Backend, store: LocalStore) -> None:
    file = store.root / "logs" / ".fingerprints" / f"date={DAYS[0]}"
    file.write_bytes(b"\xff\n")
    assert fingerprint(store, DAYS[0]) is None
    file.unlink()
    file.symlink_to(file.with_name(f"date={DAYS[1]}"))
    assert fingerprint(store, DAYS[0]) is None


@pytest.fixture
def of_version_0_1_0(published: Backend, store: LocalStore) -> dict[str, bytes]:
    """The same days as 0.1.0 would have published them: day -> data_version."""
    versions = {}
    for day in DAYS:
        known, file = fingerprint(store, day), manifest_of(store, day)
        document = json.loads(file.read_bytes())
        versions[day] = document["data_version"]
        document["source"]["fingerprint"] = known
        document["a_field_of_a_later_version"] = 1
        file.write_bytes(sealed_json(document))
    for file in (store.root / "logs" / ".fingerprints").iterdir():
        file.unlink()
    (store.root / "logs" / ".fingerprints").rmdir()
    shutil.rmtree(store.root / ".ledger")
    return versions


def test_the_first_export_moves_it_out_of_published_manifests(
    published: Backend, of_version_0_1_0: dict[str, bytes], store: LocalStore
) -> None:
    damaged = manifest_of(store, DAYS[2])
    damaged.write_bytes(damaged.read_bytes().replace(b"10", b"11", 1))
    as_it_was = damaged.read_bytes()
    before = Manifest.from_json(manifest_of(store, DAYS[1]).read_bytes())
    export(published.url, dataset(), DAYS[0], store)

    data = manifest_of(store, DAYS[1]).read_bytes()
    after = Manifest.from_json(data)
    assert b"fingerprint" not in data
    assert b"a_field_of_a_later_version" in data
    assert after.data_version == of_version_0_1_0[DAYS[1]]
    assert fingerprint(store, DAYS[1]) == before.source.fingerprint
    report, found = verify_day(store, "logs", DAYS[1])
    assert (report.findings, found) == ([], after)
    assert damaged.read_bytes() == as_it_was
    assert not verify_folders(store, "logs", ["logs"])[0].findings


def test_moving_it_is_gone_on_with_after_a_kill(
    published: Backend,
    of_version_0_1_0: dict[str, bytes],
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def dies_at_the_second(path: Path, *arguments: object, **options: object) -> None:
        done.append(path.name)
        if len(done) == 3:  # fingerprint and manifest of the first day, fingerprint of the second
            raise KeyboardInterrupt
        replace_file(path, *arguments, **options)  # type: ignore[arg-type]

    module = "exporter_pipelines.stores.local.fingerprints"
    monkeypatch.setattr(f"{module}.replace_file", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        store.adopt("logs")
    monkeypatch.undo()
    assert store.adopt("logs") == len(DAYS)
    for day in DAYS:
        assert b"fingerprint" not in manifest_of(store, day).read_bytes()
        assert fingerprint(store, day)


def test_days_are_listed_once_and_not_for_every_export(
    published: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:

    def listed(_store: LocalStore, _dataset: str) -> list[str]:
        raise AssertionError("thousands of folders would be looked at for each day")

    monkeypatch.setattr(LocalStore, "published_days", listed)
    assert export(published.url, dataset(), DAYS[0], store).record_count == 10


def test_a_removed_day_keeps_none(published: Backend, store: LocalStore) -> None:
    generation = generation_of(store.read_manifest("logs", DAYS[0]))
    removing = Entry(
        event="removing", dataset="logs", day=DAYS[0], part="day", generation=generation
    )
    assert store.remove(removing, tombstone=lambda _earlier, _manifest: b"{}")
    assert store.read_fingerprint("logs", DAYS[0], generation) is None
