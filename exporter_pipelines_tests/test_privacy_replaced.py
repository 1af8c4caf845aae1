"""A day that gets another policy: no earlier export of it stays on disk, not even for an hour."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.stores import LocalStore, layout
from exporter_pipelines_tests.support.bucket_days import open_bucket
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.object_servers import ObjectServer
from exporter_pipelines_tests.support.private_days import (
    DAY,
    KEY,
    KEY_NAME,
    OTHER_KEY,
    POLICY,
    RAW,
    everything_below,
    private,
    sqlite_logs,
    unpacked,
)

OTHER_DAY = "2026-11-02"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)


class Exports:
    """Exports of the hostile day, each with other rows than the one before."""

    def __init__(self, folder: Path) -> None:
        self.file, self.store = folder / "logs.db", LocalStore(folder / "exports")
        self.url = sqlite_logs(self.file)

    def run(self, exported: Dataset, *, lost: bool = False) -> None:
        """Change a row, or remove one, and export the day."""
        change = "DELETE FROM logs WHERE id = (SELECT max(id) FROM logs)"
        if not lost:
            change = "UPDATE logs SET message = message || '.' WHERE id = 1"
        with sqlite3.connect(self.file) as connection:
            connection.execute(change)
        connection.close()
        export(self.url, exported, DAY, self.store, accept_loss=lost)

    def earlier(self) -> tuple[int, int]:
        """Number of earlier exports that are kept for their readers, and for their rows."""
        home = self.store.home("logs")
        return tuple(
            len([*folder.iterdir()]) if (folder := home / kind).is_dir() else 0
            for kind in (layout.SUPERSEDED, layout.REPLACED)
        )  # type: ignore[return-value]


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path)


def test_no_raw_byte_is_left_when_a_day_gets_a_policy(exports: Exports) -> None:
    exports.run(dataset())
    exports.run(dataset())
    exports.run(dataset(), lost=True)
    assert exports.earlier() == (1, 1)
    exports.run(private())
    text = everything_below(exports.store.root)
    assert [raw for raw in RAW if raw in text] == []
    assert exports.earlier() == (0, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": "month"},
        {"scope": "dataset"},
        {"addresses": "token"},
        {"known": ["source"]},
        {"columns": {**POLICY["columns"], "source": {"action": "hash"}}, "keep": ["id", "level"]},
        {"columns": {**POLICY["columns"], "attributes": {"action": "scan", "keys": {"n": "hash"}}}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_no_export_under_another_policy_is_left(exports: Exports, changed: dict[str, Any]) -> None:
    exports.run(private())
    exports.run(private(), lost=True)
    exports.run(private())
    assert exports.earlier() == (1, 1), "under the same policy it stays for its readers"
    exports.run(private(privacy=changed))
    assert exports.earlier() == (0, 0)


def test_no_export_with_another_key_is_left(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.run(private(compression="none"))
    exports.run(private(compression="none"))
    folder = exports.store.day_folder("logs", DAY)
    token = (folder / f"logs-{DAY}.jsonl").read_text().partition('"device":"')[2][:25]
    assert token.startswith("host-")
    monkeypatch.setenv(KEY_NAME, OTHER_KEY)
    exports.run(private(compression="none"))
    assert token not in everything_below(exports.store.root)
    assert exports.earlier() == (0, 0)


def test_other_days_and_a_policy_that_ends_remove_nothing(exports: Exports) -> None:
    for _ in range(2):
        export(exports.url, dataset(), OTHER_DAY, exports.store)
    exports.run(dataset())
    exports.run(dataset())
    exports.run(private())
    exports.run(dataset())
    assert exports.earlier() == (2, 0), "of the other day, and the one with pseudonyms"


def test_no_raw_object_is_left_in_a_bucket(s3: ObjectServer, exports: Exports) -> None:
    store = open_bucket(s3)
    exports.store = store  # type: ignore[assignment]
    exports.run(dataset())
    exports.run(dataset())
    exports.run(dataset(), lost=True)
    assert len(store.replaced_exports("logs")) == 1
    exports.run(private())
    listed = store.bucket.listed("")
    assert not [each.key for each in listed if "/replaced/" in each.key]
    found = [store.bucket.read(each.key) for each in listed]
    text = "\n".join(unpacked(each.content) for each in found if each)
    assert "pseudonym" in text
    assert [raw for raw in RAW if raw in text] == []
