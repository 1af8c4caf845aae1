"""Publishing: at every moment a reader finds the old day or the new one, whole."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.errors import OutputUnavailableError, SupersededError
from exporter_pipelines.stores import LocalStore, file_locks
from exporter_pipelines.stores.file_locks import FileLock, locked
from exporter_pipelines.stores.leftovers import GRACE_S
from exporter_pipelines.stores.local_files import exchange_in_steps
from exporter_pipelines_tests.backends import Backend
from exporter_pipelines_tests.datasets import DayHeldError, dataset, export, parse
from exporter_pipelines_tests.processes import FORKS, attempt, pool, start_export

DAY = "2026-11-01"
LOGS = dataset()


@pytest.fixture
def logs(backend: Backend) -> Backend:
    """300 valid rows, and 3 that are rejected."""
    backend.add_logs(DAY, 300)
    backend.add_logs(DAY, 3, first_id=1000, level="odd")
    return backend


@pytest.fixture
def published(logs: Backend, store: LocalStore) -> Manifest:
    """The day of `logs` is published."""
    return export(logs.url, LOGS, DAY, store)


def change(backend: Backend, message: str = "changed") -> None:
    backend.run("UPDATE logs SET message = %s WHERE id = 1", [message])


def hidden(store: LocalStore, name: str) -> list[str]:
    return sorted(file.name for file in (store.root / "logs" / name).iterdir())


def published_manifest(store: LocalStore) -> Manifest:
    data = store.read_manifest("logs", DAY)
    assert data is not None
    return Manifest.from_json(data)


def assert_whole(store: LocalStore, manifest: Manifest) -> None:
    """Nothing but this day lies in data/, it verifies, and so does its quarantine."""
    names = sorted(str(p.relative_to(store.root / "logs" / "data")) for p in data_of(store))
    folder = f"date={DAY}"
    assert names == [folder, f"{folder}/{MANIFEST_NAME}", f"{folder}/{manifest.files[0].path}"]
    assert published_manifest(store) == manifest
    assert open_day(store, "logs", DAY).read_all().num_rows == manifest.record_count
    if manifest.quarantine:
        quarantine = store.root / "logs" / manifest.quarantine.path
        assert hashlib.sha256(quarantine.read_bytes()).hexdigest() == manifest.quarantine.sha256


def data_of(store: LocalStore) -> list[Path]:
    return list((store.root / "logs" / "data").rglob("*"))


def open_descriptors() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


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
    assert staged.wait(30)
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
    while not list(store.root.glob("logs/.staging/*/logs-*.gz")):  # reading and writing
        time.sleep(0.001)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(10)
    assert process.exitcode == 1
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


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
            assert staged.wait(30)
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
    assert beside == {"README.md", "schema.json", "schema.arrow"}
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


def test_an_attempt_that_cannot_begin_holds_nothing(logs: Backend, store: LocalStore) -> None:
    (store.root / "logs" / "data").mkdir(parents=True)
    store.day_folder("logs", DAY).symlink_to(f"date={DAY}")
    before = open_descriptors()
    with pytest.raises(OutputUnavailableError, match="symbolic link"):
        store.begin("logs", DAY)
    assert open_descriptors() == before
    assert hidden(store, ".staging") == []


# --- what was staged ---


def staged_file(store: LocalStore) -> Path:
    (path,) = store.root.glob("logs/.staging/*/logs-2026-11-01.jsonl.gz")
    return path


def flip(store: LocalStore) -> None:
    data = bytearray(staged_file(store).read_bytes())
    data[100] ^= 1
    staged_file(store).write_bytes(data)


def cut(store: LocalStore) -> None:
    os.truncate(staged_file(store), 100)


def remove(store: LocalStore) -> None:
    staged_file(store).unlink()


def link(store: LocalStore) -> None:
    path = staged_file(store)
    path.rename(store.root / "elsewhere")
    path.symlink_to(store.root / "elsewhere")


@pytest.mark.parametrize("damage", [flip, cut, remove, link])
def test_a_staged_file_that_was_changed_is_refused(
    logs: Backend, store: LocalStore, published: Manifest, damage: Callable[[LocalStore], None]
) -> None:
    change(logs)
    with pytest.raises(OutputUnavailableError, match=r"logs-2026-11-01\.jsonl\.gz"):
        export(logs.url, LOGS, DAY, store, before_publish=lambda: damage(store))
    assert_whole(store, published)


def test_nothing_is_written_through_a_planted_link(store: LocalStore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    staging = store.begin("logs", DAY)
    (staging.folder / "name").symlink_to(victim)
    with pytest.raises(OutputUnavailableError, match="name"):
        staging.create("name")
    staging.discard()
    assert victim.read_text() == "precious"


# --- a damaged manifest ---


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"manifest_version": 1}', b"[]"])
def test_a_damaged_manifest_is_replaced(
    logs: Backend, store: LocalStore, published: Manifest, content: bytes
) -> None:
    (store.day_folder("logs", DAY) / MANIFEST_NAME).write_bytes(content)
    assert_whole(store, export(logs.url, LOGS, DAY, store))


def test_a_folder_in_the_place_of_a_manifest_is_replaced(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    path = store.day_folder("logs", DAY) / MANIFEST_NAME
    path.unlink()
    path.mkdir()
    assert_whole(store, export(logs.url, LOGS, DAY, store))


def test_a_held_day_with_a_damaged_manifest_loses_no_quarantine(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    (store.day_folder("logs", DAY) / MANIFEST_NAME).write_bytes(b"{")
    logs.run("UPDATE logs SET level = 'odd'")
    with pytest.raises(DayHeldError):
        export(logs.url, LOGS, DAY, store, run_id="held-run")
    assert len(hidden(store, f"quarantine/date={DAY}")) == 2


# --- the quarantine ---


def test_the_quarantine_of_a_replaced_day_goes_with_it(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    manifest = export(logs.url, LOGS, DAY, store, run_id="second-run")
    assert manifest.quarantine is not None
    assert hidden(store, f"quarantine/date={DAY}") == [Path(manifest.quarantine.path).name]
    logs.run("DELETE FROM logs WHERE level = 'odd'")
    assert export(logs.url, LOGS, DAY, store).quarantine is None
    assert hidden(store, f"quarantine/date={DAY}") == []


def test_a_held_day_keeps_its_quarantine_and_that_of_the_published_one(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    logs.run("UPDATE logs SET level = 'odd' WHERE id <= 20")
    for run_id in ("first-held-run", "second-held-run"):
        with pytest.raises(DayHeldError) as held:
            export(logs.url, LOGS, DAY, store, run_id=run_id)
    assert held.value.quarantine is not None
    assert len(parse(held.value.quarantine)) == 23
    assert_whole(store, published)
    assert len(hidden(store, f"quarantine/date={DAY}")) == 2
    logs.run("UPDATE logs SET level = 'INFO'")
    export(logs.url, LOGS, DAY, store)
    assert hidden(store, f"quarantine/date={DAY}") == []


def test_the_first_attempt_at_a_day_may_be_held(logs: Backend, store: LocalStore) -> None:
    logs.run("UPDATE logs SET level = 'odd'")
    with pytest.raises(DayHeldError) as held:
        export(logs.url, LOGS, DAY, store)
    assert held.value.quarantine is not None
    assert len(parse(held.value.quarantine)) == 303
    assert store.read_manifest("logs", DAY) is None


# --- places that cannot be written, or lead elsewhere ---


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_only_the_owner_and_the_group_can_read(
    logs: Backend, store: LocalStore, umask: int
) -> None:
    before = os.umask(umask)
    try:
        export(logs.url, LOGS, DAY, store)
        export(logs.url, LOGS, DAY, store)
    finally:
        os.umask(before)
    for path in (store.root, *store.root.rglob("*")):
        private = path.parent.parent.name == "quarantine"
        expected = 0o750 if path.is_dir() else 0o600 if private else 0o640
        assert path.stat().st_mode & 0o7777 == expected, path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)):
        pytest.skip("mounting a file system needs root and a kernel that allows it")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


def test_a_read_only_disk_is_a_clear_error(logs: Backend, small_disk: Path) -> None:
    store = LocalStore(small_disk / "exports")
    published = export(logs.url, LOGS, DAY, store)
    assert mount("-o", "remount,ro", str(small_disk)) == 0
    with pytest.raises(OutputUnavailableError, match=r"Cannot write .*exports.*Read-only.*mount"):
        export(logs.url, LOGS, DAY, store)
    assert_whole(store, published)


def test_what_cannot_be_removed_hides_no_error_and_is_removed_later(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def freeze() -> None:
        if subprocess.run(["chattr", "+i", staged_file(store).parent], check=False).returncode:
            pytest.skip("chattr needs root and a file system that knows it")

    before = open_descriptors()
    try:
        with pytest.raises(OutputUnavailableError, match=r"_manifest\.json: .*permission"):
            export(logs.url, LOGS, DAY, store, before_publish=freeze)
    finally:
        subprocess.run(["chattr", "-R", "-i", store.root], check=True)
    assert open_descriptors() == before
    assert_whole(store, published)
    assert len(hidden(store, ".staging")) == 2
    store.begin("logs", DAY).discard()
    assert hidden(store, ".staging") == []


@pytest.mark.parametrize("frozen", [".superseded", f"quarantine/date={DAY}/*"])
def test_a_published_day_fails_no_run_because_of_what_could_not_be_cleared_away(
    logs: Backend, store: LocalStore, published: Manifest, frozen: str
) -> None:
    change(logs)
    paths = [str(path) for path in (store.root / "logs").glob(frozen)]
    if subprocess.run(["chattr", "+i", *paths], check=False).returncode:
        pytest.skip("chattr needs root and a file system that knows it")
    try:
        manifest = export(logs.url, LOGS, DAY, store)
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)
    assert_whole(store, manifest)
    assert hidden(store, ".staging") == []
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    assert len(hidden(store, f"quarantine/date={DAY}")) == 1


def test_a_day_that_cannot_be_switched_leaves_no_rejected_rows(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    change(logs)
    data = str(store.root / "logs" / "data")
    if subprocess.run(["chattr", "+i", data], check=False).returncode:
        pytest.skip("chattr needs root and a file system that knows it")
    try:
        with pytest.raises(OutputUnavailableError, match=r"date=2026-11-01: .*permitted"):
            export(logs.url, LOGS, DAY, store, run_id="failed-run")
    finally:
        subprocess.run(["chattr", "-i", data], check=True)
    assert_whole(store, published)
    assert published.quarantine is not None
    assert hidden(store, f"quarantine/date={DAY}") == [Path(published.quarantine.path).name]


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(logs: Backend, small_disk: Path) -> None:
    store = LocalStore(small_disk / "exports")
    published = export(logs.url, LOGS, DAY, store)
    logs.run("UPDATE logs SET message = (SELECT string_agg(md5((id * n)::text), '') "
             "FROM generate_series(1, 100) n)")  # fmt: skip
    with pytest.raises(
        OutputUnavailableError,
        match=r"Cannot write .*logs-2026-11-01\.jsonl\.gz: No space left on device\. At least "
        r"[\d,]+ more bytes are needed and [\d,]+ bytes are free in .*/disk; make room",
    ):
        export(logs.url, LOGS, DAY, store)
    assert_whole(store, published)
    assert hidden(store, ".staging") == []
    assert mount("-o", "remount,size=16m", str(small_disk)) == 0
    assert_whole(store, export(logs.url, LOGS, DAY, store))


def test_a_disk_without_room_for_another_name_is_a_clear_error(
    logs: Backend, small_disk: Path
) -> None:
    store = LocalStore(small_disk / "exports")
    published = export(logs.url, LOGS, DAY, store)
    used = sum(1 for _ in small_disk.rglob("*")) + 1
    assert mount("-o", f"remount,nr_inodes={used + 1}", str(small_disk)) == 0
    with pytest.raises(OutputUnavailableError, match=r"No space left.*no file can be created"):
        export(logs.url, LOGS, DAY, store)
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


def test_a_limit_on_the_size_of_files_is_a_clear_error(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    change(logs)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(
            OutputUnavailableError,
            match=r"File too large\. At least [\d,]+ bytes are needed in one file and 2,000 are "
            r"allowed \(ulimit -f\)",
        ):
            export(logs.url, LOGS, DAY, store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_whole(store, published)
    assert hidden(store, ".staging") == []


def test_an_output_path_that_is_a_file_is_a_clear_error(logs: Backend, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    for root in (file, file / "exports"):
        with pytest.raises(OutputUnavailableError, match="A part of the path is a file"):
            export(logs.url, LOGS, DAY, LocalStore(root))
    assert file.read_text() == "precious"


def test_a_file_in_the_place_of_a_day_is_set_aside(logs: Backend, store: LocalStore) -> None:
    (store.root / "logs" / "data").mkdir(parents=True)
    store.day_folder("logs", DAY).write_text("precious")
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    (name,) = hidden(store, ".superseded")
    aside = store.root / "logs" / ".superseded" / name
    assert aside.read_text() == "precious"
    os.utime(aside, (0, 0))
    store.begin("logs", DAY).discard()
    assert hidden(store, ".superseded") == []


def test_the_output_folder_itself_may_be_a_link(logs: Backend, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for _ in range(2):
        export(logs.url, LOGS, DAY, LocalStore(tmp_path / "link"), run_id=os.urandom(4).hex())
    store = LocalStore(tmp_path / "real")
    assert_whole(store, published_manifest(store))
    assert len(hidden(store, f"quarantine/date={DAY}")) == 1


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds what a clean-up might take for its own; nothing in it may change."""
    folder = tmp_path / "victim"
    for name in (f"date={DAY}", f"date={DAY}.0123456789abcdef"):
        (folder / name).mkdir(parents=True)
        (folder / name / MANIFEST_NAME).write_text("precious")
        (folder / f"{name}.lock").write_text("precious")
        os.utime(folder / name, (0, 0))
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


def snapshot(folder: Path) -> dict[Path, str | None]:
    return {path: path.read_text() if path.is_file() else None for path in folder.rglob("*")}


def test_a_link_in_the_place_of_a_day_is_replaced(
    logs: Backend, store: LocalStore, victim: Path
) -> None:
    (store.root / "logs" / "data").mkdir(parents=True)
    store.day_folder("logs", DAY).symlink_to(victim / f"date={DAY}")
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    assert not store.day_folder("logs", DAY).is_symlink()


@pytest.mark.parametrize(
    "name",
    ["", "data", ".staging", ".superseded", ".locks", "quarantine", f"quarantine/date={DAY}"],
)
def test_a_link_in_the_place_of_a_folder_is_refused(
    logs: Backend, store: LocalStore, victim: Path, name: str
) -> None:
    folder = store.root / "logs" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(victim)
    with pytest.raises(OutputUnavailableError, match="is a symbolic link"):
        export(logs.url, LOGS, DAY, store)


def test_clearing_quarantines_follows_no_link(
    logs: Backend, store: LocalStore, victim: Path
) -> None:
    (store.root / "logs" / "quarantine").mkdir(parents=True)
    store.quarantine_folder("logs", DAY).symlink_to(victim)
    logs.run("DELETE FROM logs WHERE level = 'odd'")
    assert_whole(store, export(logs.url, LOGS, DAY, store))
