"""A training set: its content, what its bytes depend on, and the loaders that read it."""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_set import SPLITS
from exporter_pipelines.engine import load
from exporter_pipelines.engine.erase_training_sets import finish_builds
from exporter_pipelines.errors import (
    ConfigurationError,
    DayNotPublishedError,
    OutputUnavailableError,
    UnknownNameError,
)
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.stores.local.versions import LocalVersion, VersionedFolder
from exporter_pipelines.training.build import TrainingSetHeldError, build_training_set
from exporter_pipelines.training.engine import open_engine
from exporter_pipelines_tests.support.doc_examples import example
from exporter_pipelines_tests.support.training import (
    DAYS,
    HELD,
    ROWS,
    WINDOWS,
    build,
    checksums,
    config,
    fill,
    publish,
    rows_of,
    table,
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backend") / "app.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def published(backend: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Eight days; never changed by a test."""
    store = LocalStore(tmp_path_factory.mktemp("published"))
    publish(backend, store)
    return store


@pytest.fixture
def days(published: LocalStore, tmp_path: Path) -> LocalStore:
    """A copy of the published days."""
    shutil.copytree(published.root, tmp_path / "exports", symlinks=True)
    return LocalStore(tmp_path / "exports")


def test_rows_are_labelled_split_by_time_and_group_and_counted(days: LocalStore) -> None:
    built = build(config(ROWS), days)
    manifest = built.manifest
    assert manifest.left_out_days == {HELD: "not published: logs"}
    assert set(manifest.inputs["logs"]) == set(manifest.inputs["anomalies"]) == {*DAYS} - {HELD}
    assert (
        rows_of(built) + sum(manifest.rows_left_out.values()) == manifest.rows_read == 7 * 24 * 26
    )
    assert manifest.labels == {"anomalies by log_id = id": 7 * 24}
    splits = [table(built, split) for split in SPLITS]
    ids = [set(split["id"].to_pylist()) for split in splits]
    assert sum(map(len, ids)) == len(set.union(*ids)) == rows_of(built)
    devices = [set(split["device"].to_pylist()) for split in splits]
    assert sum(map(len, devices)) == len(set.union(*devices))
    positives = [row for split in splits for row in split.to_pylist() if row["label"] == 1]
    assert positives
    assert all(row["message"].startswith("login failed") for row in positives)
    assert sum(split.positives for split in manifest.splits.values()) == len(positives)


def test_files_are_even_and_train_is_shuffled(days: LocalStore) -> None:
    built = build(config(ROWS), days)
    for split in SPLITS:
        files = built.manifest.splits[split].files
        sizes = [file.rows for file in files]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= 500
        assert [Path(file.path).name for file in files] == [
            f"{split}-{number:05}-of-{len(files):05}.parquet" for number in range(len(files))
        ]
    train = table(built, "train")["timestamp"].to_pylist()
    assert train != sorted(train)
    test = table(built, "test")["timestamp"].to_pylist()
    assert test == sorted(test)


@pytest.mark.parametrize("text", [ROWS, WINDOWS])
def test_the_bytes_depend_on_days_and_settings_only(
    days: LocalStore,
    published: LocalStore,
    tmp_path: Path,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = checksums(build(config(text), days, threads=1))
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    for threads in (2, 4):
        again = tmp_path / f"again-{threads}"
        shutil.copytree(published.root, again, symlinks=True)
        assert checksums(build(config(text), LocalStore(again), threads=threads)) == expected
    other = build(config(text, seed=8), LocalStore(again))
    assert checksums(other) != expected


def test_nothing_is_built_twice_and_a_changed_day_makes_a_new_version(
    days: LocalStore, backend: Path, tmp_path: Path
) -> None:
    first = build(config(WINDOWS), days)
    again = build(config(WINDOWS), days)
    assert (first.unchanged, again.unchanged) == (False, True)
    assert again.folder == first.folder
    changed = tmp_path / "changed.db"
    shutil.copy(backend, changed)
    with sqlite3.connect(changed) as db:
        db.execute("UPDATE logs SET message = 'login failed twice' WHERE id = 20")
    publish(changed, days, DAYS[:1])
    new = build(config(WINDOWS), days)
    assert new.folder != first.folder
    assert not new.unchanged
    assert first.folder.is_dir()  # for its readers
    latest = new.folder.parent / "latest"
    assert latest.resolve() == new.folder.resolve()


def test_a_day_that_is_pruned_while_the_days_are_chosen_is_left_out(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_days = LocalStore.published_days

    def listed_before(store: LocalStore, dataset: str) -> list[str]:
        found = list_days(store, dataset)
        shutil.rmtree(store.day_folder("logs", DAYS[0]), ignore_errors=True)
        return found

    monkeypatch.setattr(LocalStore, "published_days", listed_before)
    built = build(config(ROWS), days)
    assert built.manifest.left_out_days[DAYS[0]] == "not published: logs"


def test_a_day_that_is_pruned_before_it_is_read_is_left_out(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_day = load.open_day

    def pruned_before(store: Store, dataset: str, day: str) -> Any:
        shutil.rmtree(days.day_folder("logs", DAYS[0]), ignore_errors=True)
        return open_day(store, dataset, day)

    monkeypatch.setattr(load, "open_day", pruned_before)
    built = build(config(ROWS), days)
    assert built.manifest.left_out_days[DAYS[0]] == "not published: logs"


def test_a_damaged_version_is_built_again(days: LocalStore) -> None:
    built = build(config(ROWS), days)
    file = built.folder / built.manifest.splits["train"].files[0].path
    file.write_bytes(file.read_bytes()[:-1])
    again = build(config(ROWS), days)
    assert not again.unchanged
    assert checksums(again) == checksums(built)
    assert file.stat().st_size == built.manifest.splits["train"].files[0].size_bytes


def test_two_builds_at_once_give_one_version(days: LocalStore) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(build(config(WINDOWS), days)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.unchanged for each in found) == [False, True]
    home = found[0].folder.parent
    assert sorted(path.name for path in home.iterdir() if path.name[0] != ".") == [
        "latest",
        found[0].folder.name,
    ]


def _with_other_text(backend: Path, target: Path) -> Path:
    """A copy of a backend in which a row of the first day differs."""
    shutil.copy(backend, target)
    with closing(sqlite3.connect(target)) as db, db:
        db.execute("UPDATE logs SET message = 'login failed twice' WHERE id = 20")
    return target


@pytest.mark.parametrize("moment", ["Writing", "publish"])
def test_a_day_that_changes_during_a_build_makes_it_begin_again(
    days: LocalStore, backend: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last moment too: else `exporter erase` would miss a version with the old day."""
    changed = _with_other_text(backend, tmp_path / "changed.db")
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if line.startswith(moment) and lines.count(line) == 1:
            publish(changed, days, DAYS[:1])

    publish_version = VersionedFolder.publish

    def then_change(versions: VersionedFolder, folder: Path, version: str) -> LocalVersion:
        published = publish_version(versions, folder, version)
        report("publish")
        return published

    monkeypatch.setattr(VersionedFolder, "publish", then_change)
    built = build_training_set(config(ROWS), days, report=report)
    assert f"logs {DAYS[0]} was exported again in the meantime; starting over." in lines
    manifest = Manifest.if_readable(days.read_manifest("logs", DAYS[0]))
    assert manifest
    assert built.manifest.inputs["logs"][DAYS[0]] == manifest.data_version
    assert days.versions("rows").stored() == [built.manifest.data_version[:12]]


_KILLED = """
import os, signal, sys, yaml
from pathlib import Path
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.training.build import build_training_set
settings = TrainingSetConfig.model_validate(yaml.safe_load(sys.argv[2]))
def report(line):
    if line.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
build_training_set(settings, LocalStore(Path(sys.argv[1])), report=report)
"""


def test_a_killed_build_leaves_the_old_version(days: LocalStore) -> None:
    old = build(config(WINDOWS), days)
    text = WINDOWS + "seed: 9\n"
    for moment in ("Reading", "Checking"):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(days.root), text, moment], check=False
        )
        assert done.returncode == -signal.SIGKILL
        assert (old.folder.parent / "latest").resolve() == old.folder.resolve()
        assert build(config(WINDOWS), days).unchanged
    new = build(config(text), days)
    assert not new.unchanged
    assert not (new.folder.parent / ".building").exists() or not list(
        (new.folder.parent / ".building").iterdir()
    )


def test_what_a_killed_first_build_left_is_found_and_removed(days: LocalStore) -> None:
    """It has rows of the days as they were; `exporter erase` removes it."""
    command = [sys.executable, "-c", _KILLED, str(days.root), WINDOWS, "Checking"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert days.training_sets() == ["windows"]
    finish_builds(days.versions("windows"))
    assert days.training_sets() == []


def test_a_held_set_keeps_the_old_version_and_says_why(days: LocalStore) -> None:
    old = build(config(WINDOWS), days)
    with pytest.raises(TrainingSetHeldError, match=r"balance: .* at least 5000 positive") as held:
        build(config(WINDOWS, checks={"min_positives": 5000}), days)
    assert "The version before it stays" in str(held.value)
    assert (old.folder.parent / "latest").resolve() == old.folder.resolve()


def test_a_label_within_a_time_marks_the_rows_before_it(days: LocalStore) -> None:
    labels = [{"dataset": "anomalies", "by": {"ip": "ip"}, "within": "2m"}]
    built = build(config(ROWS, labels=labels), days)
    positive = [row for split in SPLITS for row in table(built, split).to_pylist() if row["label"]]
    failed = [row for row in positive if row["message"].startswith("login failed")]
    assert failed
    assert len(failed) % 6 == 0  # each burst as a whole
    assert len(positive) < 1.2 * len(failed)  # and few ordinary rows


def test_unlabelled_rows_are_negative_unknown_or_dropped(days: LocalStore) -> None:
    negative, unknown = (
        build(config(ROWS, name=how, unlabelled=how), days) for how in ("negative", "unknown")
    )
    assert table(negative, "train")["label"].null_count == 0
    labels = table(unknown, "train")["label"]
    assert labels.null_count == unknown.manifest.splits["train"].unlabelled > 0
    with pytest.raises(TrainingSetHeldError, match="0 other examples"):
        build(config(ROWS, unlabelled="drop"), days)


def test_windows_of_rows_are_whole_and_do_not_cross_a_boundary(days: LocalStore) -> None:
    windows = {"group": "device", "rows": 10, "step": 5}
    built = build(config(WINDOWS, windows=windows), days)
    for split in SPLITS:
        found = table(built, split)
        assert set(found["rows"].to_pylist()) <= {10}
        assert {len(events) for events in found["events"].to_pylist()} <= {10}
    assert built.manifest.rows_left_out["in_no_whole_window"] > 0


def test_overlapping_windows_contain_each_row_twice(days: LocalStore) -> None:
    plain = build(config(WINDOWS), days)
    twice = build(
        config(WINDOWS, name="twice", windows={"group": "device", "size": "30m", "every": "15m"}),
        days,
    )
    rows = [sum(table(built, "train")["rows"].to_pylist()) for built in (plain, twice)]
    assert rows[1] == pytest.approx(2 * rows[0], rel=0.02)


def test_sampling_thins_train_only_and_keeps_labelled_rows(days: LocalStore) -> None:
    sample = {"by": "level", "keep": {"INFO": 0.1}}
    whole, thinned = (
        build(config(ROWS), days),
        build(config(ROWS, name="thin", sample=sample), days),
    )
    info = [table(built, "train")["level"].to_pylist().count("INFO") for built in (whole, thinned)]
    assert 0.05 * info[0] < info[1] < 0.15 * info[0]
    assert thinned.manifest.splits["train"].positives == whole.manifest.splits["train"].positives
    assert thinned.manifest.splits["test"].rows == whole.manifest.splits["test"].rows


def test_repeated_rows_are_left_out(days: LocalStore) -> None:
    dedup = {"exact": ["device", "message"], "near": "template", "per": "set"}
    built = build(config(ROWS, dedup=dedup, checks={"min_positives": 0}), days)
    found = [
        tuple(r.values())
        for s in SPLITS
        for r in table(built, s).select(["device", "event_id"]).to_pylist()
    ]
    assert len(found) == len(set(found))


def test_published_loaders_read_the_set(days: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb
    import pandas as pd
    import polars as pl
    from datasets import load_dataset

    built = build(config(WINDOWS), days)
    rows = built.manifest.splits["train"].rows
    loaded = load_dataset(str(built.folder))
    assert {split: len(loaded[split]) for split in SPLITS} == {
        split: built.manifest.splits[split].rows for split in SPLITS
    }
    assert loaded["train"].features["events"].feature.dtype == "string"
    streamed = load_dataset(str(built.folder), streaming=True, split="test")
    assert next(iter(streamed))["device"].startswith("edge-")
    pattern = f"{built.folder}/data/train-*.parquet"
    assert len(pl.read_parquet(pattern)) == rows
    assert duckdb.sql(f"SELECT count(*) FROM '{pattern}'").fetchall() == [(rows,)]
    files = sorted(built.folder.glob("data/train-*.parquet"))
    assert len(pd.concat(map(pd.read_parquet, files))) == rows

    card = (built.folder / "README.md").read_text()
    monkeypatch.chdir(built.folder.parent)
    for code, expected in zip(
        re.findall(r"```python\n(.*?)```", card, re.DOTALL), (len(SPLITS), rows), strict=True
    ):
        found: dict[str, Any] = {}
        exec(code, found)
        assert len(found.get("sets", found.get("train"))) == expected, code
    monkeypatch.chdir("/")
    first_code = card.partition("```python\n")[2].partition("```")[0]
    with pytest.raises(Exception, match=r"\./v-"):  # and no question to the Hugging Face Hub
        exec(first_code, {})


READ_BY_CROISSANT = """
import json, sys, mlcroissant
described = mlcroissant.Dataset(sys.argv[1])
rows = list(described.records("examples", filters={"examples/split": "test"}))
errors = list(described.metadata.ctx.issues.errors)
print(json.dumps([errors, len(rows), rows[0]["examples/label"]]))
"""


def test_croissant_describes_the_set(days: LocalStore, tmp_path: Path) -> None:
    if find_spec("mlcroissant") is None:
        pytest.skip("mlcroissant is not installed")
    built = build(config(WINDOWS), days)
    path = built.folder / "croissant.json"
    # In a process of its own, see support/open_output.py.
    read = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_BY_CROISSANT, path],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
    errors, rows, label = json.loads(read.stdout)
    assert errors == []
    assert rows == built.manifest.splits["test"].rows
    assert isinstance(label, int)
    files = {
        each["@id"]: each["sha256"]
        for each in json.loads(path.read_text())["distribution"]
        if each["@type"] == "cr:FileObject"
    }
    assert files == checksums(built)


def test_the_documented_model_learns_the_attack_and_nothing_of_permuted_labels(
    days: LocalStore,
) -> None:
    build(config(WINDOWS, name="failed_logins"), days)
    code = example("train.py")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=days.root.parent, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    found = re.fullmatch(
        r"labels: average precision (\S+)\n"
        r"permuted labels: (\S+) \(median of 20\), base rate (\S+)\n",
        done.stdout,
    )
    assert found, done.stdout
    precision, permuted, base_rate = map(float, found.groups())
    assert precision >= 0.8
    assert 0.5 * base_rate <= permuted <= 1.5 * base_rate


def test_the_layout_of_loghub_has_a_line_per_row(days: LocalStore) -> None:
    import pandas as pd

    built = build(config(ROWS, output={"layouts": ["loghub_csv"]}), days)
    frame = pd.read_csv(built.folder / "loghub_csv" / "train.log_structured.csv")
    assert list(frame.columns) == [
        "LineId", "Label", "Timestamp", "Date", "Node", "Time", "Component", "Content", "EventId",
        "EventTemplate",
    ]  # fmt: skip
    assert len(frame) == built.manifest.splits["train"].rows
    assert (frame.Label != "-").sum() == built.manifest.splits["train"].positives
    assert frame.Timestamp.is_monotonic_increasing
    assert set(frame.EventTemplate) == {"GET <*> <*>", "login failed from <*>"}


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    refused = pytest.raises(OutputUnavailableError, match=r"cannot be written: .*No space left")
    with refused, open_engine(tmp_path):
        raise full


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"message": "text"}, "message: column 'text' does not exist"),
    ({"features": ["nope"]}, "features: column 'nope' does not exist"),
    ({"split": {"groups": "host"}}, "split.groups: column 'host' does not exist"),
    ({"labels": [{"dataset": "anomalies", "by": {"ip": "ip"}}]}, "`within` is missing"),
    (
        {"labels": [{"dataset": "anomalies", "by": {"log_id": "message"}, "within": "5m"}]},
        "'log_id' of anomalies is int64, but 'message' of logs is string",
    ),
    (
        {
            "labels": [
                {
                    "dataset": "anomalies",
                    "by": {"log_id": "id"},
                    "when": [{"column": "kind", "op": "is_null"}],
                }
            ]
        },
        "labels[0].when: column 'kind' does not exist",
    ),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_a_setting_that_does_not_fit_the_days_is_refused(
    days: LocalStore, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigurationError, UnknownNameError)) as refused:
        build(config(ROWS, **changes), days)
    assert message in str(refused.value)
    assert not (days.root / "training_sets" / "rows" / "latest").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": {"first": "2026-11-01"}}, "write either first and last, or trailing"),
        ({"days": {"first": "2026-11-09", "last": "2026-11-01"}}, "is before the first day"),
        ({"split": {"train": 0.9, "validation": 0.1}}, "leave nothing for test"),
        ({"windows": {"group": "device"}}, "write either size, or rows"),
        ({"windows": {"group": "device", "size": "10 minutes"}}, "a duration is a whole number"),
        (
            {"labels": [{"dataset": "a", "by": {"ip": "ip"}, "within": "2h"}]},
            "split.gap must be at least as long",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        config(ROWS, **changes)


def test_days_that_are_not_published_are_named(days: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(DayNotPublishedError) as caught:
        build(config(ROWS, days={"first": "2027-01-01", "last": "2027-01-03"}), days)
    assert "no day from 2027-01-01 to 2027-01-03" in str(caught.value)
    assert "exporter export logs anomalies 2027-01-01 2027-01-03" in str(caught.value)
    labels = [{"dataset": "ips", "by": {"address": "ip"}, "within": "5m"}]
    with pytest.raises(DayNotPublishedError) as caught:
        build(config(ROWS, labels=labels), days)
    assert "has published ips at" in str(caught.value)
    empty = LocalStore(tmp_path / "elsewhere")
    with pytest.raises(DayNotPublishedError) as caught:
        build(config(ROWS, days={"trailing": 14}), empty)
    assert f"no day has published logs and anomalies at {empty.location}" in str(caught.value)


def test_conditions_choose_the_labels(days: LocalStore) -> None:
    none = [
        {
            "dataset": "anomalies",
            "by": {"log_id": "id"},
            "when": [{"column": "severity", "op": "not_in", "value": ["high"]}],
        }
    ]
    built = build(config(ROWS, labels=none, checks={"min_positives": 0}), days)
    assert built.manifest.labels == {"anomalies by log_id = id": 0}
    assert pa.compute.sum(table(built, "train")["label"]).as_py() == 0
