"""Publishing among damage, planted links, missing rights and full disks: the old day stays."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter_pipelines.contracts.manifest import MANIFEST_NAME, Manifest
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.errors import DayHeldError, ExporterError, OutputUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.locks import is_free
from exporter_pipelines.stores.local.published_day import MAX_BYTES
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import export, parse
from exporter_pipelines_tests.support.published_days import (
    DAY,
    LOGS,
    add_rows,
    assert_whole,
    change,
    hidden,
    open_descriptors,
    published_manifest,
)


@pytest.fixture
def logs(backend: Backend) -> Backend:
    """300 valid rows, and 3 that are rejected."""
    add_rows(backend)
    return backend


@pytest.fixture
def published(logs: Backend, store: LocalStore) -> Manifest:
    """The day of `logs` is published."""
    return export(logs.url, LOGS, DAY, store)


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


def pipe(store: LocalStore) -> None:
    path = staged_file(store)
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [flip, cut, remove, link, pipe])
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
        private = path.parent.parent.name == "quarantine" or bool(
            {".fingerprints", ".ledger", ".exporter-output.json"} & {*path.parts}
        )
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


needs_chattr = pytest.mark.skipif(
    shutil.which("chattr") is None, reason="chattr is not installed (Debian: e2fsprogs)"
)


def make_immutable(*paths: str) -> None:
    if subprocess.run(["chattr", "+i", *paths], check=False).returncode:
        pytest.skip("chattr needs root and a file system that knows it")


@needs_chattr
def test_what_cannot_be_removed_hides_no_error_and_is_removed_later(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    def freeze() -> None:
        make_immutable(str(staged_file(store).parent))

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


@needs_chattr
@pytest.mark.parametrize("frozen", [".superseded", f"quarantine/date={DAY}/*"])
def test_a_published_day_fails_no_run_because_of_what_could_not_be_cleared_away(
    logs: Backend, store: LocalStore, published: Manifest, frozen: str
) -> None:
    change(logs)
    paths = [str(path) for path in (store.root / "logs").glob(frozen)]
    make_immutable(*paths)
    try:
        manifest = export(logs.url, LOGS, DAY, store)
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)
    assert_whole(store, manifest)
    assert hidden(store, ".staging") == []
    assert_whole(store, export(logs.url, LOGS, DAY, store))
    assert len(hidden(store, f"quarantine/date={DAY}")) == 1


@needs_chattr
def test_a_day_that_cannot_be_switched_leaves_no_rejected_rows(
    logs: Backend, store: LocalStore, published: Manifest
) -> None:
    change(logs)
    data = str(store.root / "logs" / "data")
    make_immutable(data)
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
        r"[\d,]+ more bytes are needed and [\d,]+ bytes are free in .*/disk\. Free some",
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
        with pytest.raises(OutputUnavailableError, match="A file exists where a folder is needed"):
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


# --- something else in the place of a small file ---


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(path.parent):
        listening.bind(path.name)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


@pytest.mark.parametrize("put", [_pipe, _link, _folder, _socket, _huge])
@pytest.mark.parametrize(
    "place",
    [f"data/date={DAY}/{MANIFEST_NAME}", f".fingerprints/date={DAY}", "schema.json"],
)
def test_what_is_not_a_small_file_is_not_read_and_is_replaced(
    logs: Backend, store: LocalStore, place: str, put: Callable[[Path], None]
) -> None:
    export(logs.url, LOGS, DAY, store)
    path = store.root / "logs" / place
    path.unlink()
    put(path)
    if place.endswith(MANIFEST_NAME):
        assert store.read_manifest("logs", DAY) == b""
    if put is _folder and not place.endswith(MANIFEST_NAME):
        # A folder in the place of a file is not removed: the day says what is in its way.
        with pytest.raises(OutputUnavailableError, match="A folder exists where a file is needed"):
            export(logs.url, LOGS, DAY, store)
        return
    manifest = export(logs.url, LOGS, DAY, store)
    assert store.read_manifest("logs", DAY) == manifest.to_json()
    assert path.is_file()
    assert not path.is_symlink()


def test_a_manifest_behind_a_link_is_not_read(
    logs: Backend, store: LocalStore, published: Manifest, tmp_path: Path
) -> None:
    folder = store.day_folder("logs", DAY)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert store.read_manifest("logs", DAY) == b""
    assert store.published_days("logs") == []


@pytest.mark.parametrize("put", [_pipe, _link, _huge])
def test_loading_a_day_reads_no_pipe_no_link_and_no_huge_manifest(
    logs: Backend, store: LocalStore, published: Manifest, put: Callable[[Path], None]
) -> None:
    path = store.day_folder("logs", DAY) / MANIFEST_NAME
    path.unlink()
    put(path)
    with pytest.raises(ExporterError, match=MANIFEST_NAME):
        open_day(store, "logs", DAY)
    assert [f.kind for f in verify_day(store, "logs", DAY, quick=True)[0].findings]


def test_a_pipe_in_the_place_of_a_lock_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.lock")
    assert is_free(tmp_path / "run.lock")


# --- overlay file systems ---


def test_a_day_in_a_layer_of_an_image_is_kept_and_the_message_explains_it(
    logs: Backend, small_disk: Path
) -> None:
    lower, upper, work, merged = (small_disk / n for n in ("lower", "upper", "work", "merged"))
    for folder in (upper, work, merged):
        folder.mkdir()
    published = export(logs.url, LOGS, DAY, LocalStore(lower))
    layers = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    if mount("-t", "overlay", "overlay", "-o", layers, str(merged)):
        pytest.skip("this kernel has no overlay file system")
    try:
        store = LocalStore(merged)
        change(logs)
        with pytest.raises(OutputUnavailableError, match=r"overlay .* volume or a bind mount"):
            export(logs.url, LOGS, DAY, store)
        assert_whole(store, published)
        for count in (10, 20):  # a day that is not part of the image is published and replaced
            logs.add_logs("2026-11-02", count, first_id=count * 1000)
            assert export(logs.url, LOGS, "2026-11-02", store).record_count >= count
    finally:
        subprocess.run(["umount", "--lazy", merged], check=True)
