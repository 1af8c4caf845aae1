"""Each check of a training set holds or warns when its leak is put into the written files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from exporter_pipelines.contracts.manifest import Privacy
from exporter_pipelines.orchestration.training.asset import CHECKS as DESCRIBED
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.training import build as building
from exporter_pipelines.training import set_writer
from exporter_pipelines.training.build import TrainingSetHeldError
from exporter_pipelines.training.checks import CHECKS, HOLDING
from exporter_pipelines.training.inputs import Inputs
from exporter_pipelines.training.pinning import pin
from exporter_pipelines_tests.support.training import (
    ROWS,
    WINDOWS,
    build,
    config,
    fill,
    publish,
    rewrite,
    rewrite_evidence,
)

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    folder = tmp_path_factory.mktemp("leaks")
    fill(folder / "app.db")
    store = LocalStore(folder / "exports")
    publish(folder / "app.db", store)
    return store


def _read(folder: Path, split: str) -> pa.Table:
    found: list[pa.Table] = []
    rewrite(folder, split, lambda table: found.append(table) or table)  # type: ignore[func-returns-value]
    return found[0]


def _copy(source: str, target: str, rows: int = 40) -> Callable[[Path], None]:
    """Rows of one split are in another one as well."""

    def leak(folder: Path) -> None:
        some = _read(folder, source).slice(0, rows)
        rewrite(folder, target, lambda table: pa.concat_tables([table, some]))

    return leak


def _set(split: str, column: str, values: Callable[[pa.Table], pa.Array]) -> Callable[[Path], None]:
    """A column of a split has other values, or is new."""

    def leak(folder: Path) -> None:
        def change(table: pa.Table) -> pa.Table:
            if column in table.column_names:
                return table.set_column(table.column_names.index(column), column, values(table))
            return table.append_column(column, values(table))

        rewrite(folder, split, change)

    return leak


def _moved(table: pa.Table, column: str, microseconds: int) -> pa.Array:
    times = pc.add(table[column].combine_chunks().cast(pa.int64()), microseconds)
    return times.cast(table.schema.field(column).type)


def _new_keys(folder: Path) -> None:
    """Rows of train are in test under new keys, devices and times: only their texts tell."""
    texts = _read(folder, "train")["message"]

    def change(table: pa.Table) -> pa.Table:
        taken = texts.take(pa.array(np.arange(len(table)) % len(texts)))
        return table.set_column(table.column_names.index("message"), "message", taken)

    rewrite(folder, "test", change)


def _label_column(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        _set(split, "severity", lambda table: pa.array(["high"] * len(table)))(folder)


def _score_of_label(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        _set(split, "is_attack", lambda table: table["label"])(folder)


def _one_group(folder: Path) -> None:
    for split in ("validation", "test"):
        rewrite_evidence(
            folder, split, "SELECT example, 'edge-00' AS \"group\", label_known_at FROM old"
        )


LEAKS: list[tuple[str, str, dict[str, Any], Callable[[Path], None]]] = [
    ("ids_disjoint", ROWS, {}, _copy("train", "test")),
    ("ids_disjoint", ROWS, {}, _copy("validation", "test", 5)),
    ("ids_disjoint", WINDOWS, {}, _copy("train", "validation")),
    ("groups_disjoint", ROWS, {}, _copy("train", "validation", 1)),
    ("groups_disjoint", WINDOWS, {}, _copy("train", "test", 1)),
    (
        "groups_disjoint", ROWS, {"features": ["message"]},
        _one_group,
    ),
    ("time_ordered", ROWS, {},
     _set("validation", "timestamp", lambda table: _moved(table, "timestamp", -HOUR))),
    ("time_ordered", WINDOWS, {}, _set("test", "start", lambda t: _moved(t, "start", -48 * HOUR))),
    ("exact_overlap", ROWS, {"split": {"gap": "1h", "train": 0.6, "validation": 0.2}}, _new_keys),
    (
        "label_not_from_future", ROWS, {},
        lambda folder: rewrite_evidence(
            folder, "train", 'SELECT example, "group", '
            "label_known_at + INTERVAL 30 DAY AS label_known_at FROM old",
        ),
    ),
    (
        "label_not_from_future", WINDOWS, {},
        lambda folder: rewrite_evidence(
            folder, "validation", 'SELECT example, "group", NULL::TIMESTAMPTZ AS label_known_at '
            "FROM old",
        ),
    ),
    ("no_label_column", ROWS, {}, _label_column),
    ("no_label_column", WINDOWS, {}, _score_of_label),
    ("balance", ROWS, {}, _set("test", "label", lambda t: pa.array([0] * len(t), pa.int64()))),
    ("balance", WINDOWS, {}, _set("train", "label", lambda t: pa.array([1] * len(t), pa.int64()))),
]  # fmt: skip


@pytest.mark.parametrize(("check", "text", "changes", "leak"), LEAKS)
def test_a_leak_holds_the_set(
    days: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    text: str,
    changes: dict[str, Any],
    leak: Callable[[Path], None],
) -> None:
    write = set_writer.write_shards

    def with_leak(examples: Any, folder: Path, *others: Any) -> Any:
        shards = write(examples, folder, *others)
        leak(folder)
        return shards

    monkeypatch.setattr(set_writer, "write_shards", with_leak)
    with pytest.raises(TrainingSetHeldError) as held:
        build(config(text, **changes), days)
    assert check in {outcome.check for outcome in held.value.outcomes if outcome.holds}
    assert check in str(held.value)


@pytest.mark.parametrize("epochs", [("2026-10", "2026-11"), ("2026-11", None)])
def test_days_with_different_pseudonyms_hold_the_set(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch, epochs: tuple[str, str | None]
) -> None:
    def with_policies(*arguments: Any) -> Inputs:
        inputs = pin(*arguments)
        for number, (day, manifest) in enumerate(inputs.rows.days.items()):
            epoch = epochs[number % 2]
            privacy = epoch and Privacy(
                policy_version=1,
                key_id="k",
                epoch=epoch,
                scope="shared",
                columns={"device": "pseudonym:host"},
                replaced={},
            )
            inputs.rows.days[day] = manifest.model_copy(update={"privacy": privacy})
        return inputs

    monkeypatch.setattr(building, "pin", with_policies)
    with pytest.raises(TrainingSetHeldError, match="one_identity_space"):
        build(config(ROWS), days)


def test_a_value_that_gives_the_label_away_warns(
    days: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = set_writer.write_shards

    def with_leak(examples: Any, folder: Path, *others: Any) -> Any:
        shards = write(examples, folder, *others)
        told = lambda t: pc.if_else(pc.equal(t["label"], 1), "attacker", "someone")  # noqa: E731
        _set("train", "source", told)(folder)
        return shards

    monkeypatch.setattr(set_writer, "write_shards", with_leak)
    built = build(config(ROWS, name="shortcut"), days)
    found = {check.check: check for check in built.manifest.checks}
    assert not found["no_shortcut"].passed
    assert "source" in found["no_shortcut"].sentence


def test_the_same_events_in_train_and_test_warn(days: LocalStore) -> None:
    few = {"group": "source", "rows": 5}
    built = build(
        config(
            WINDOWS,
            name="near",
            windows=few,
            split={"gap": "1h", "train": 0.6, "validation": 0.2},
            checks={"min_positives": 0, "max_overlap_pct": 100},
        ),
        days,
    )
    found = {check.check: check for check in built.manifest.checks}
    assert not found["near_overlap"].passed


NO_MINIMUM = {"checks": {"min_positives": 0}}
CLEAN = [
    (text, {"seed": seed, "split": split, **more})
    for text, more in ((ROWS, NO_MINIMUM), (WINDOWS, NO_MINIMUM))
    for seed in (1, 2, 3, 4, 5)
    for split in (
        {"groups": "device", "gap": "1h"},
        {"train": 0.5, "validation": 0.25, "groups": "device", "gap": "2h"},
    )
]  # fmt: skip


@pytest.mark.parametrize(("text", "changes"), CLEAN)
def test_a_clean_set_is_not_held(days: LocalStore, text: str, changes: dict[str, Any]) -> None:
    built = build(config(text, **changes), days)
    assert all(check.passed for check in built.manifest.checks if check.check in HOLDING)


def test_dagster_shows_every_check() -> None:
    assert list(DESCRIBED) == list(CHECKS)
