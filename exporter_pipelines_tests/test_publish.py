"""Publishing: at every moment a reader finds the old day or the new one, whole."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local import locks as file_locks
from exporter_pipelines.stores.local.cleanup import GRACE_S
from exporter_pipelines.stores.local.files import exchange_in_steps
from exporter_pipelines.stores.local.locks import FileLock, locked
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import export
from exporter_pipelines_tests.support.processes import FORKS, attempt, pool, start_export
from exporter_pipelines_tests.support.published_days import (
    DAY,
    LOGS,
    add_rows,
    assert_whole,
    change,
    data_of,
    hidden,
    open_descriptors,
    published_manifest,
)
from exporter_pipelines_tests.support.waiting import wait_until


@pytest.fixture
def logs(backend: Backend) -> Backend:
    """300 valid rows, and 3 that are rejected."""
    add_rows(backend)
    return backend


@pytest.fixture
def published(logs: Backend, store: LocalStore) -> Manifest:
    """The day of `logs` is published."""
    return export(logs.url, LOGS, DAY, store)


# --- readers ---


@contextmanager
def reading(read: Callable[[], None]) -> Iterator[None]:
    """Repeat `read` in a thread as fast as it can; its first error is raised at the end."""
    stopped, failures, reads = threading.Event(), [], 0

    def loop() -> None:
        nonlocal reads
        while not stopped.is_set():
            try:
                read()
                reads += 1
            except BaseException as error:  # raised below
                failures.append(error)
                return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    if failures:
        raise failures[0]
    assert reads > 20


@pytest.mark.slow
def test_a_naive_reader_always_finds_one_complete_file(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    known, seen = {published.files[0].sha256}, set()

    def read() -> None:
        (path,) = store.root.glob("logs/data/date=*/logs-*.jsonl.gz")
        seen.add(hashlib.sha256(path.read_bytes()).hexdigest())

    with reading(read):
        for number in range(60):
            change(logs, str(number))
            known.add(export(logs.url, LOGS, DAY, store).files[0].sha256)
    assert len(known) == 61
    assert seen <= known
    assert len(seen) > 20


@pytest.mark.slow
def test_a_verifying_reader_never_fails(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def read() -> None:
        assert open_day(store, "logs", DAY).read_all().num_rows == published.record_count

    with reading(read), reading(read):
        for number in range(40):
            change(logs, str(number))
            export(logs.url, LOGS, DAY, store)


def test_a_replaced_day_is_kept_for_its_grace(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    data = (store.day_folder("logs", DAY) / MANIFEST_NAME).read_bytes()
    export(logs.url, LOGS, DAY, store)
    (name,) = hidden(store, ".superseded")
    old = store.root / "logs" / ".superseded" / name
    assert (old / MANIFEST_NAME).read_bytes() == data
    assert time.time() - old.stat().st_mtime < 60  # since it was replaced, not since written
    os.utime(old, (0, time.time() - GRACE_S + 60))
    store.begin("logs", DAY).discard()
    assert hidden(store, ".superseded") == [name]
    os.utime(old, (0, time.time() - GRACE_S - 1))
    store.begin("logs", DAY).discard()
    assert hidden(store, ".superseded") == []


def test_no_name_but_days_and_their_files_lies_in_data(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    change(logs)
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    assert hidden(store, ".staging") == []
    assert len(hidden(store, f"quarantine/date={DAY}")) == 1


# --- rivals ---


def test_the_second_of_two_attempts_with_other_content_is_refused(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def rival() -> None:
        change(logs)
        export(logs.url, LOGS, DAY, store, run_id="rival-run")

    with pytest.raises(SupersededError, match="by run rival-run with other content while"):
        export(logs.url, LOGS, DAY, store, before_publish=rival)
    manifest = published_manifest(store)
    assert manifest.run.run_id == "rival-run"
    assert_whole(store, manifest)
    assert hidden(store, ".staging") == []


def test_the_second_of_two_first_attempts_is_refused(logs: Backend, store: LocalStore) -> None:
    def rival() -> None:
        change(logs)
        export(logs.url, LOGS, DAY, store, run_id="rival-run")

    with pytest.raises(SupersededError):
        export(logs.url, LOGS, DAY, store, before_publish=rival)
    assert_whole(store, published_manifest(store))


def test_the_second_of_two_attempts_with_the_same_content_succeeds(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def rival() -> None:
        export(logs.url, LOGS, DAY, store, run_id="rival-run")

    manifest = export(logs.url, LOGS, DAY, store, before_publish=rival)
    assert manifest.run.run_id == "rival-run"
    assert_whole(store, manifest)


def test_a_day_that_was_removed_meanwhile_stays_removed(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def remove() -> None:
        store.day_folder("logs", DAY).rename(store.root / "moved away")

    with pytest.raises(SupersededError, match="was removed while this run"):
        export(logs.url, LOGS, DAY, store, before_publish=remove)
    assert data_of(store) == []


@pytest.mark.slow
def test_processes_that_race_never_mix(logs: Backend, store: LocalStore) -> None:
    for table in "abcd":
        logs.run(
            f"CREATE VIEW logs_{table} AS SELECT id, timestamp, level, message || '{table}' AS "
            "message, source, device, ip, attributes FROM logs"
        )
    lost = 0
    with pool(4) as processes:
        for _ in range(6):
            tasks = [(logs.url, store.root, DAY, f"logs_{table}") for table in "abcd"]
            outcomes = processes.starmap(attempt, tasks, chunksize=1)
            won = {sha for outcome, sha in outcomes if outcome == "published"}
            manifest = published_manifest(store)
            assert manifest.files[0].sha256 in won
            assert_whole(store, manifest)
            lost += sum(outcome == "superseded" for outcome, _ in outcomes)
    assert lost
    assert hidden(store, ".staging") == []


# --- dead and stopped processes ---


def test_a_killed_attempt_leaves_the_old_day_and_is_reaped_by_the_next(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    staged, never = FORKS.Event(), FORKS.Event()
    process = start_export(logs.url, store.root, DAY, staged=staged, go_on=never)
    assert staged.wait(300)
    alive = hidden(store, ".staging")
    assert len(alive) == 2  # its folder and its lock
    store.begin("logs", DAY).discard()
    assert hidden(store, ".staging") == alive  # a living attempt is left alone
    process.kill()
    process.join()
    assert_whole(store, published)
    store.begin("logs", DAY).discard()
    assert hidden(store, ".staging") == []


def test_an_interrupted_attempt_leaves_the_old_day_and_nothing_else(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    logs.add_logs(DAY, 200_000, first_id=10_000)
    process = start_export(logs.url, store.root, DAY)
    written = "logs/.staging/*/logs-*.gz"
    wait_until(lambda: list(store.root.glob(written)), "rows are read and written", every=0.001)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(300)
    assert process.exitcode == 1
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing(
    logs: Backend, store: LocalStore, published: Manifest, tmp_path: Path
) -> None:
    change(logs)
    reference = export(logs.url, LOGS, DAY, LocalStore(tmp_path / "undisturbed"))
    dice = random.Random(20261101)
    for number in range(15):
        staged = FORKS.Event()
        process = start_export(logs.url, store.root, DAY, staged=staged)
        # Two of three in the few milliseconds of publishing, the others anywhere.
        if number % 3:
            assert staged.wait(300)
        time.sleep(dice.uniform(0, 0.015 if number % 3 else 0.15))
        process.kill()
        process.join()
        manifest = published_manifest(store)
        assert manifest.files[0].sha256 in (published.files[0].sha256, reference.files[0].sha256)
        assert_whole(store, manifest)
    manifest = export(logs.url, LOGS, DAY, store)
    assert manifest.files == reference.files
    assert_whole(store, manifest)
    assert hidden(store, ".staging") == []
    assert len(hidden(store, f"quarantine/date={DAY}")) == 1


@pytest.mark.parametrize("name", ["README.md", "schema.json", f"date={DAY}"])
def test_a_kill_between_two_renames_leaves_nothing_that_stays(
    logs: Backend, store: LocalStore, name: str
) -> None:
    process = start_export(logs.url, store.root, DAY, dies_at=name)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    beside = {path.name for path in (store.root / "logs").iterdir() if path.is_file()}
    assert beside == {
        "README.md", "schema.json", "schema.arrow", "croissant.json", "_changes.jsonl",
    }  # fmt: skip
    assert hidden(store, ".staging") == []


def test_a_swap_in_steps_that_was_cut_short_is_undone(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    name = f"date={DAY}.0123456789abcdef"
    staging = store.root / "logs" / ".staging"
    (staging / f"{name}.lock").touch()
    (staging / name).mkdir()
    store.day_folder("logs", DAY).rename(staging / f"{name}.swapped")
    store.begin("logs", "2026-11-02").discard()
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


def test_a_swap_in_steps_swaps(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange_in_steps(tmp_path / "a", tmp_path / "b")
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert names == ["a", "a/b", "b", "b/a"]


def test_a_lock_that_is_never_given_back_is_an_error(
    logs: Backend, store: LocalStore, published: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_locks, "LOCK_WAIT_S", 0.1)
    with (
        locked(store.root / "logs" / ".locks" / f"date={DAY}"),
        pytest.raises(OutputUnavailableError, match="Another process has held the lock"),
    ):
        export(logs.url, LOGS, DAY, store)
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


def test_a_lock_file_is_removed_and_taken_without_two_holders(tmp_path: Path) -> None:
    holders, most = 0, 0

    def work() -> None:
        nonlocal holders, most
        for _ in range(200):
            lock = FileLock(tmp_path / "lock")
            lock.acquire()
            holders += 1
            most = max(most, holders)
            time.sleep(0)
            holders -= 1
            lock.release(remove=True)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_an_attempt_that_cannot_begin_holds_nothing(
    logs: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_names: str) -> bytes | None:
        raise OutputUnavailableError("Cannot read the manifest: Input/output error.")

    monkeypatch.setattr(store, "read_manifest", refuse)
    before = open_descriptors()
    with pytest.raises(OutputUnavailableError, match="Input/output error"):
        store.begin("logs", DAY)
    assert open_descriptors() == before
    assert hidden(store, ".staging") == []
