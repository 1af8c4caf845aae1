"""The ledger agrees with the published days, whenever a process dies."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli import main
from exporter_pipelines.contracts.ledger import DayRecord, Entry, Event
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.publication import Publication
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local import ledger
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, outcome_of
from exporter_pipelines_tests.support.processes import die_at

DAY, NEXT = "2026-11-01", "2026-11-02"


def events(store: LocalStore, day: str | None = DAY, name: str = "logs") -> list[str]:
    return [entry.event for entry in store.entries(name, day)]


def agrees(store: LocalStore, day: str = DAY) -> bool:
    """Whether the ledger expects the export that is there."""
    generation = store.generation("logs", day)
    return DayRecord.of(store.entries("logs", day), generation).expected == generation


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", *arguments])


def publish(store: LocalStore, content: str, *, keep_replaced: bool = False) -> None:
    """Publish a day without a source: only what the ledger is about."""
    with store.begin("logs", DAY) as staging:
        entry = Entry(event="published", dataset="logs", day=DAY, source_rows=1, baseline_rows=1)
        store.switch(
            staging,
            Publication(content.encode(), entry, fingerprint="0" * 32, keep_replaced=keep_replaced),
        )


def remove(store: LocalStore) -> None:
    entry = Entry(event="removing", dataset="logs", day=DAY, part="day")
    entry = entry.model_copy(update={"generation": store.generation("logs", DAY)})
    store.remove(entry, tombstone=lambda _earlier, _published: b"{}")


# --- what is written ---


def test_every_event_of_a_day_is_an_entry(
    settings: dict[str, str], backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 20)
    first = export(backend.url, dataset(), DAY, store)
    backend.add_logs(DAY, 5, first_id=100)
    export(backend.url, dataset(), DAY, store)
    backend.run("DELETE FROM logs")
    assert outcome_of(backend.url, dataset(), DAY, store).manifest is None
    assert events(store) == ["publishing", "published", "publishing", "published", "held"]
    one, two, held = (store.entries("logs", DAY)[n] for n in (1, 3, 4))
    assert (one.rows, one.source_rows, one.data_version) == (20, 20, first.data_version)
    assert (one.replaces, two.replaces) == (None, one.generation)
    assert two.generation == store.generation("logs", DAY)
    assert (held.source_rows, held.reason) == (0, "no_lost_rows")
    assert one.source == two.source == held.source != None  # noqa: E711 - one chain
    assert events(store, None) == ["adopted", "source"]
    assert len({entry.entry for entry in store.entries("logs", DAY)}) == 5


def test_it_is_private_and_outside_of_the_datasets(store: LocalStore) -> None:
    store.adopt("logs")
    publish(store, "one")
    path = store.root / ".ledger" / "logs" / f"date={DAY}.jsonl"
    for private in (path, store.root / ".exporter-output.json"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_an_entry_survives_a_torn_one(store: LocalStore) -> None:
    publish(store, "one")
    path = store.root / ".ledger" / "logs" / f"date={DAY}.jsonl"
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        path.write_bytes(whole[:-cut])
        store.record(Entry(event="held", dataset="logs", day=DAY, reason="test"))
        found, damaged = ledger.read(store.root, "logs", DAY)
        assert found[-1].event == "held", cut
        assert found[0].event == "publishing", cut
        assert damaged <= 1
        assert agrees(store), cut


@pytest.mark.parametrize("obstacle", ["fifo", "link", "folder"])
def test_what_is_not_a_file_is_not_read(store: LocalStore, tmp_path: Path, obstacle: str) -> None:
    publish(store, "one")
    path = store.root / ".ledger" / "logs" / f"date={DAY}.jsonl"
    path.unlink()
    if obstacle == "fifo":
        os.mkfifo(path)
    elif obstacle == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    assert ledger.read(store.root, "logs", DAY) == ([], 1)
    with pytest.raises(Exception, match="date=2026-11-01"):
        publish(store, "two")
    assert store.read_manifest("logs", DAY) == b"one"
    assert not (tmp_path / "elsewhere").exists()


# --- a process that dies ---


def killed_at(root: Path, act: str, step: int) -> bool:
    """Act in a process that is killed before its n-th change of the disk; whether it was."""
    child = os.fork()
    if not child:
        try:
            store = LocalStore(root)
            die_at(step)
            if act == "remove":
                remove(store)
            elif act == "adopt":
                store.adopt("logs")
            else:
                publish(store, act, keep_replaced=act == "kept")
        finally:
            os._exit(0)  # not pytest's own end; a failure shows in what the caller finds
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("act", ["first", "second", "kept", "remove"])
def test_it_agrees_with_the_published_day_wherever_a_process_is_killed(
    store: LocalStore, tmp_path: Path, act: str
) -> None:
    store.root.mkdir()
    if act != "first":
        publish(store, "before")
    outcomes = set()
    for step in range(1_000):
        copy = LocalStore(tmp_path / f"step-{step}")
        shutil.copytree(store.root, copy.root)
        killed = killed_at(copy.root, act, step)
        outcomes.add(copy.read_manifest("logs", DAY))
        assert agrees(copy), (step, events(copy))
        publish(copy, "after")
        assert agrees(copy), (step, events(copy))
        done = [e for e in copy.entries("logs", DAY) if e.event == "published"]
        assert done[-1].generation == copy.generation("logs", DAY)
        switched = any(e.kept_as for e in done)
        assert len(copy.replaced_exports("logs")) == switched, step
        shutil.rmtree(copy.root)
        if not killed:
            break
    assert len(outcomes) == 2, outcomes  # some died before the switch, some after it
    assert step > 20


# --- a folder that was written before there was a ledger ---


def test_days_of_an_earlier_version_are_adopted_once(
    settings: dict[str, str], backend: Backend, store: LocalStore
) -> None:
    for number, day in enumerate((DAY, NEXT)):
        backend.add_logs(day, 10 + number, first_id=100 * number)
        export(backend.url, dataset(), day, store)
    shutil.rmtree(store.root / ".ledger")
    (store.root / ".exporter-output.json").unlink()
    assert verify("--quick").exit_code == 0
    assert "ledger_missing" in verify("--quick").output
    (store.day_folder("logs", NEXT) / MANIFEST_NAME).write_bytes(b"{")
    said: list[str] = []
    for _ in range(2):
        export(backend.url, dataset(), DAY, store, notify=said.append)
    assert [line for line in said if "ledger" in line] == [
        "logs: 2 days that were published before are in the ledger now."
    ]
    assert events(store)[0] == "adopted"
    assert store.entries("logs", DAY)[0].source_rows == 10
    assert agrees(store, NEXT)
    assert events(store, NEXT) == ["adopted"]


def test_a_kill_in_the_middle_of_an_adoption(store: LocalStore, tmp_path: Path) -> None:
    publish(store, "one")
    shutil.rmtree(store.root / ".ledger")
    for step in range(100):
        copy = LocalStore(tmp_path / f"step-{step}")
        shutil.copytree(store.root, copy.root)
        killed = killed_at(copy.root, "adopt", step)
        copy.adopt("logs")
        assert events(copy) == ["adopted"], step
        assert events(copy, None) == ["adopted"], step
        if not killed:
            break
    assert step > 10


# --- what `exporter verify` finds ---


@pytest.fixture
def two_days(settings: dict[str, str], backend: Backend, store: LocalStore) -> LocalStore:
    for number, day in enumerate((DAY, NEXT)):
        backend.add_logs(day, 10, first_id=100 * number)
        export(backend.url, dataset(), day, store)
    assert verify().exit_code == 0
    return store


def found(*arguments: str) -> tuple[int, list[str]]:
    result = verify(*arguments)
    kinds = [line.split("  ")[3] for line in result.output.splitlines() if "  " in line]
    return result.exit_code, kinds


def test_a_deleted_day_is_missing(two_days: LocalStore) -> None:
    shutil.rmtree(two_days.day_folder("logs", DAY))
    assert found() == (1, ["day_missing"])
    assert found("--quick") == (1, ["day_missing"])
    assert found("logs", "--day", DAY) == (1, ["day_missing"])
    assert found("logs", "--day", NEXT) == (0, [])
    assert "an export with 10 rows was published" in verify().output


@pytest.mark.parametrize("what", ["logs", "logs/data"])
def test_a_deleted_dataset_is_missing(two_days: LocalStore, what: str) -> None:
    shutil.rmtree(two_days.root / what)
    assert found() == (1, ["day_missing"] * 2)


def test_an_older_export_from_a_backup_is_found(
    two_days: LocalStore, backend: Backend, tmp_path: Path
) -> None:
    folder = two_days.day_folder("logs", DAY)
    shutil.copytree(folder, tmp_path / "backup")
    backend.add_logs(DAY, 5, first_id=500)
    export(backend.url, dataset(), DAY, two_days)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    assert found() == (1, ["day_older"])
    export(backend.url, dataset(), DAY, two_days)
    assert found() == (0, [])


def test_an_export_of_another_folder_is_unknown(
    two_days: LocalStore, backend: Backend, tmp_path: Path
) -> None:
    other = LocalStore(tmp_path / "other")
    backend.add_logs(DAY, 5, first_id=500)
    export(backend.url, dataset(), DAY, other)
    shutil.rmtree(two_days.day_folder("logs", DAY))
    shutil.copytree(other.day_folder("logs", DAY), two_days.day_folder("logs", DAY))
    assert found() == (1, ["day_unknown"])


def test_a_removed_day_is_not_missing(two_days: LocalStore) -> None:
    remove(two_days)
    assert found("--quick") == (0, [])
    # A backup brings it back.
    (two_days.root / "logs" / "removed" / f"date={DAY}.json").unlink()
    [left] = (two_days.root / "logs" / ".superseded").glob(f"date={DAY}.*")
    shutil.copytree(left, two_days.day_folder("logs", DAY))
    assert found("--quick") == (1, ["day_older"])


def test_entries_have_documented_events() -> None:
    from typing import get_args

    from exporter_pipelines.contracts.ledger import EVENTS

    assert set(get_args(Event)) == set(EVENTS)
