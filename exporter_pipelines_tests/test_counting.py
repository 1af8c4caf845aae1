"""Every row is accounted for, once, in one snapshot, whatever the rules do."""

# ruff: noqa: UP045, N805 - Pandera evaluates annotations, and its rules are class methods

from __future__ import annotations

import datetime as dt
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.contracts.tally import Tally
from exporter_pipelines.engine.judge import judge
from exporter_pipelines.errors import ConfigurationError, DayHeldError, RuleCrashedError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import LOGS, Backend, fresh_database
from exporter_pipelines_tests.support.datasets import (
    dataset,
    export,
    open_day,
    rejected,
    rows,
)

DAY = "2026-11-01"
UNLIMITED = {"max_rejected_pct": 100.0, "max_rejected_rows": 10**9}


def with_model(model: type, **changes: Any) -> Dataset:
    """The logs, judged by a model of this file and without transforms."""
    return dataset(schema=f"{__name__}.{model.__name__}", transforms=[], **changes)


# One snapshot


def test_rows_that_arrive_during_the_export_are_not_part_of_it(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 200)
    next_id = iter(range(1000, 2000))

    def insert(_read: int, total: int) -> None:
        backend.add_logs(DAY, 1, first_id=next(next_id))
        backend.run("DELETE FROM logs WHERE id = 200")
        assert total == 200

    manifest = export(backend.url, dataset(), DAY, store, batch_rows=10, progress=insert)
    assert manifest.counts.read == manifest.record_count == 200
    assert [row["id"] for row in rows(store, manifest)] == list(range(1, 201))
    assert export(backend.url, dataset(), DAY, store).record_count > 200


def test_rows_that_arrive_between_the_count_and_the_data_are_not_part_of_either(
    backend: Backend,
) -> None:
    backend.add_logs(DAY, 20)
    with open_day(backend.url, dataset(), DayWindow.of(DAY, "UTC")) as snapshot:
        backend.add_logs(DAY, 5, first_id=100)
        backend.run("DELETE FROM logs WHERE id = 1")
        assert snapshot.row_count == sum(len(batch) for batch in snapshot.batches(7)) == 20


@pytest.mark.parametrize("batch_rows", [1, 3, 50_000])
def test_the_size_of_batches_changes_no_count(
    backend: Backend, store: LocalStore, batch_rows: int
) -> None:
    backend.add_logs(DAY, 10)
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (1, 4, 10)")
    backend.run("UPDATE logs SET device = NULL WHERE id < 4")
    manifest = export(backend.url, dataset(), DAY, store, batch_rows=batch_rows)
    assert manifest.counts.model_dump() == {"read": 10, "exported": 7, "rejected": 3, "filtered": 0}
    assert manifest.data_quality_metrics["completeness_pct.device"] == 71.4286
    assert {(r.rule, r.column): r.failed for r in manifest.validation.rules if r.failed} == {
        ("known_level", "level"): 3
    }
    exported = rows(store, manifest)
    assert [row["id"] for row in exported] == [2, 3, 5, 6, 7, 8, 9]
    assert [row["id"] for row in rejected(store, manifest)] == [1, 4, 10]
    assert manifest.files[0].min_timestamp == _instant(exported[0])
    assert manifest.files[0].max_timestamp == _instant(exported[-1])


def _instant(row: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(row["timestamp"])


# Repeated keys


def _repeat_keys(backend: Backend) -> None:
    backend.run(
        "ALTER TABLE logs DROP CONSTRAINT logs_pkey; ALTER TABLE logs ALTER id DROP NOT NULL"
    )
    backend.add_logs(DAY, 5)
    backend.run("INSERT INTO logs SELECT * FROM logs WHERE id <= 2")
    backend.run("INSERT INTO logs SELECT * FROM logs WHERE id = 1 LIMIT 1")


def test_repeated_keys_are_exported_and_counted(backend: Backend, store: LocalStore) -> None:
    _repeat_keys(backend)
    manifest = export(backend.url, dataset(), DAY, store)
    assert (manifest.record_count, manifest.data_quality_metrics["repeated_keys"]) == (8, 3)


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ON logs (id) WHERE level = 'none'",
        "CREATE UNIQUE INDEX ON logs (id, source, message)",
        "CREATE UNIQUE INDEX ON logs ((id + 0)) WHERE level = 'none'",
        "CREATE INDEX ON logs (id)",
    ],
)
def test_an_index_that_allows_repeated_keys_does_not_hide_them(
    backend: Backend, store: LocalStore, index: str
) -> None:
    _repeat_keys(backend)
    backend.run("UPDATE logs SET message = ctid::text; ALTER TABLE logs ALTER id SET NOT NULL")
    backend.run(index)
    manifest = export(backend.url, dataset(), DAY, store)
    assert manifest.data_quality_metrics["repeated_keys"] == 3


def test_a_nullable_unique_key_may_be_missing_and_is_then_rejected(
    backend: Backend, store: LocalStore
) -> None:
    backend.run(
        "ALTER TABLE logs DROP CONSTRAINT logs_pkey; ALTER TABLE logs ALTER id DROP NOT NULL"
    )
    backend.run("ALTER TABLE logs ADD UNIQUE (id)")
    backend.add_logs(DAY, 3)
    for message in ("two", "one"):
        backend.add_logs(DAY, 1, first_id=9, message=message)
        backend.run("UPDATE logs SET id = NULL WHERE id = 9")
    manifest = export(backend.url, dataset(), DAY, store)
    assert (manifest.counts.exported, manifest.counts.rejected) == (3, 2)
    assert manifest.data_quality_metrics["repeated_keys"] == 0
    assert [row["message"] for row in rejected(store, manifest)] == ["one", "two"]


def test_a_child_table_may_repeat_the_unique_keys_of_its_parent(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    backend.run("CREATE TABLE more_logs () INHERITS (logs)")
    backend.run("INSERT INTO more_logs SELECT * FROM logs WHERE id = 1")
    manifest = export(backend.url, dataset(), DAY, store)
    assert (manifest.record_count, manifest.data_quality_metrics["repeated_keys"]) == (4, 1)


@pytest.mark.parametrize("rows_added", [0, 1])
def test_a_unique_key_counts_as_unique(
    backend: Backend, store: LocalStore, rows_added: int
) -> None:
    backend.add_logs(DAY, rows_added)
    manifest = export(backend.url, dataset(), DAY, store)
    assert manifest.data_quality_metrics["repeated_keys"] == 0


# Order


def test_the_same_rows_in_another_physical_order_give_the_same_bytes(
    backend: Backend, store: LocalStore
) -> None:
    backend.run("ALTER TABLE logs DROP CONSTRAINT logs_pkey")
    backend.run(
        "INSERT INTO logs SELECT n %% 7, %s, 'INFO', (n %% 5)::text, 'app', "
        "NULLIF(n %% 3, 0)::text, NULL, jsonb_build_object('n', n %% 11) "
        "FROM generate_series(1, 300) n",
        [f"{DAY}T12:00Z"],
    )
    first = export(backend.url, dataset(), DAY, store)
    for order in ("message DESC, id", "md5(id::text || message || device)", "id DESC, ctid DESC"):
        backend.run(
            f"CREATE TABLE other AS SELECT * FROM logs ORDER BY {order}; "
            "DROP TABLE logs; ALTER TABLE other RENAME TO logs"
        )
        again = export(backend.url, dataset(), DAY, store)
        assert again.files[0].sha256 == first.files[0].sha256
    assert first.record_count == 300


@pytest.mark.parametrize(
    ("pg_type", "one", "other"),
    [("numeric", "1.0", "1.00"), ("text", "a", "A"), ("float8", "0", "-0")],
)
def test_keys_that_only_look_different_are_still_in_a_fixed_order(
    backend: Backend, store: LocalStore, pg_type: str, one: str, other: str
) -> None:
    backend.run("ALTER TABLE logs DROP CONSTRAINT logs_pkey")
    backend.run(f"ALTER TABLE logs ALTER id TYPE {pg_type} USING id::text::{pg_type}")
    hashes = set()
    for keys in ((one, other), (other, one)):
        backend.run("TRUNCATE logs")
        for key in keys:
            backend.run(f"INSERT INTO logs VALUES ('{key}', '{DAY}T12:00Z', 'INFO', 'same', 'app')")
        hashes.add(export(backend.url, dataset(), DAY, store).files[0].sha256)
    assert len(hashes) == 1


# Rules


class CrashingRow(pandera.DataFrameModel):
    """Has a rule that cannot judge a null."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    message: pa.string
    device: Optional[pa.string] = pandera.Field(nullable=True)

    @pandera.dataframe_check(name="devices_in_order")
    def _devices(cls, frame: pd.DataFrame) -> pd.Series:
        return pd.Series([bool(one < "z") for one in frame["device"]])


class CrashingColumnRow(pandera.DataFrameModel):
    """Has a rule over one column that raises."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    message: pa.string

    @pandera.check("message", name="odd_rule")
    def _odd(cls, message: pd.Series) -> pd.Series:
        raise KeyError(message.iloc[0])


class WholeColumnRow(pandera.DataFrameModel):
    """Has a rule that gives one verdict for all rows."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    message: pa.string

    @pandera.check("id", name="few_ids")
    def _few(cls, ids: pd.Series) -> bool:
        return bool(ids.max() < 3)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (CrashingRow, "'devices_in_order' on whole rows"),
        (CrashingColumnRow, "'odd_rule' on message"),
        (WholeColumnRow, "'few_ids' on id"),
    ],
)
def test_a_rule_that_cannot_judge_each_row_is_named_and_nothing_is_published(
    backend: Backend, store: LocalStore, model: type, rule: str
) -> None:
    backend.add_logs(DAY, 5, device=None, message="confidential")
    with pytest.raises(RuleCrashedError) as caught:
        export(backend.url, with_model(model), DAY, store)
    assert rule in str(caught.value)
    assert "confidential" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert store.read_manifest("logs", DAY) is None
    assert list((store.root / "logs" / ".staging").iterdir()) == []


class PlainRow(pandera.DataFrameModel):
    """Written with the annotations of plain Python."""

    id: int
    timestamp: dt.datetime
    message: str = pandera.Field(str_length={"max_value": 5})
    score: float = pandera.Field(ge=0, nullable=True)
    alive: bool

    class Config:
        """Would change values instead of judging them."""

        coerce = True


def test_a_model_of_plain_python_types_judges_as_well(backend: Backend, store: LocalStore) -> None:
    backend.run(
        "ALTER TABLE logs ADD score real, ADD alive boolean; "
        f"INSERT INTO logs SELECT n, '{DAY}T12:00Z', 'INFO', repeat('x', n), 'app', NULL, NULL, "
        "NULL, NULLIF(n, 1) - 3, true FROM generate_series(1, 7) n"
    )
    manifest = export(backend.url, with_model(PlainRow), DAY, store)
    assert [(row["id"], row["score"]) for row in rows(store, manifest)] == [
        (1, None), (3, 0.0), (4, 1.0), (5, 2.0)
    ]  # fmt: skip
    assert [[r["column"] for r in row["rejections"]] for row in rejected(store, manifest)] == [
        ["score"], ["message"], ["message"]
    ]  # fmt: skip


class UniqueRow(pandera.DataFrameModel):
    """Asks for what a batch cannot know."""

    id: pa.int64 = pandera.Field(unique=True)
    timestamp: Annotated[pa.timestamp, "us", "UTC"]


class ReservedRow(pandera.DataFrameModel):
    """Has a column where the quarantine puts its reasons."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    rejections: pa.string


class DroppingRow(pandera.DataFrameModel):
    """Would let Pandera drop rows by itself."""

    id: pa.int64 = pandera.Field(lt=3)
    timestamp: Annotated[pa.timestamp, "us", "UTC"]

    class Config:
        """Options that take part in judging."""

        drop_invalid_rows = True


class DefaultingRow(pandera.DataFrameModel):
    """Would fill a gap before judging it."""

    id: pa.int64
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    message: pa.string = pandera.Field(default="none")


class FewCasesRow(pandera.DataFrameModel):
    """Would report only the first broken row."""

    id: pa.int64 = pandera.Field(lt=3, n_failure_cases=1)
    timestamp: Annotated[pa.timestamp, "us", "UTC"]


class WarningRow(pandera.DataFrameModel):
    """Would warn instead of rejecting."""

    id: pa.int64 = pandera.Field(lt=3, raise_warning=True)
    timestamp: Annotated[pa.timestamp, "us", "UTC"]


class ParsingRow(pandera.DataFrameModel):
    """Would judge other values than those that are exported."""

    id: pa.int64 = pandera.Field(lt=3)
    timestamp: Annotated[pa.timestamp, "us", "UTC"]

    @pandera.parser("id")
    def _small(cls, ids: pd.Series) -> pd.Series:
        return ids * 0


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (UniqueRow, "unique"),
        (ReservedRow, "rejections"),
        (DroppingRow, "drop_invalid_rows"),
        (DefaultingRow, "default"),
        (FewCasesRow, "n_failure_cases"),
        (WarningRow, "raise_warning"),
        (ParsingRow, "parser"),
    ],
)
def test_a_model_that_would_not_judge_every_row_is_refused(model: type, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_row_schema(f"{__name__}.{model.__name__}")


def test_a_rule_over_whole_rows_is_safe_for_nulls(backend: Backend, store: LocalStore) -> None:
    backend.run(
        "INSERT INTO ip_addresses (id, address, first_seen, last_seen, risk_score) VALUES "
        f"(1, '10.0.0.1', NULL, '{DAY}T12:00Z', 1), "
        f"(2, '10.0.0.2', '{DAY}T13:00Z', '{DAY}T12:00Z', 1), "
        f"(3, '10.0.0.3', '{DAY}T11:00Z', '{DAY}T12:00Z', 1)"
    )
    manifest = export(backend.url, dataset("ips"), DAY, store)
    assert [row["address"] for row in rows(store, manifest)] == ["10.0.0.3"]
    assert [row["rejections"] for row in rejected(store, manifest)] == [
        [{"rule": "required", "column": "first_seen", "value": None}],
        [{"rule": "seen_in_order", "column": None, "value": None}],
    ]


def test_a_row_with_several_reasons_is_rejected_once(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 3)
    backend.run(
        "UPDATE logs SET level = 'odd', ip = 'x', message = NULL, source = NULL WHERE id = 2"
    )
    manifest = export(backend.url, dataset(), DAY, store)
    assert (manifest.counts.exported, manifest.counts.rejected) == (2, 1)
    (row,) = rejected(store, manifest)
    assert {(r["rule"], r["column"]) for r in row["rejections"]} == {
        ("known_level", "level"),
        ("valid_address", "ip"),
        ("required", "message"),
        ("required", "source"),
    }
    assert sum(result.failed for result in manifest.validation.rules) == 4


def test_a_day_of_rejected_rows_only_has_a_manifest_and_no_data(
    backend: Backend, store: LocalStore
) -> None:
    backend.add_logs(DAY, 20, level="odd")
    manifest = export(backend.url, dataset(**UNLIMITED), DAY, store)
    assert (manifest.record_count, manifest.counts.rejected, manifest.files) == (0, 20, [])
    assert len(rejected(store, manifest)) == 20
    assert [file.name for file in store.day_folder("logs", DAY).iterdir()] == ["_manifest.json"]


def test_basic_validation_judges_required_fields_only(backend: Backend, store: LocalStore) -> None:
    backend.add_logs(DAY, 3)
    backend.run("UPDATE logs SET level = 'odd', ip = 'x' WHERE id = 1")
    backend.run("UPDATE logs SET source = NULL WHERE id = 2")
    manifest = export(backend.url, dataset(validation="basic"), DAY, store)
    assert [row["id"] for row in rows(store, manifest)] == [1, 3]
    assert {result.rule for result in manifest.validation.rules} == {"required"}


# Any mixture of good and bad rows


_LEVELS = {"INFO": True, "warn": True, "odd": False, "": False, None: False}
_ADDRESSES = {"10.0.0.1": True, "::1": True, None: True, "10.0.0.256": False, "host": False}
_MIXTURES = st.lists(
    st.fixed_dictionaries(
        {
            "level": st.sampled_from(list(_LEVELS)),
            "ip": st.sampled_from(list(_ADDRESSES)),
            "message": st.sampled_from(["", "hello", None]),
        }
    ),
    max_size=12,
)


def broken_rules(row: dict[str, str | None]) -> set[tuple[str, str]]:
    """What `LogRow` must find wrong with a row."""
    broken = {("required", name) for name in ("level", "message") if row[name] is None}
    if row["level"] is not None and not _LEVELS[row["level"]]:
        broken.add(("known_level", "level"))
    if not _ADDRESSES[row["ip"]]:
        broken.add(("valid_address", "ip"))
    return broken


@pytest.fixture(scope="module")
def mixtures(postgres_url: str) -> Iterator[Backend]:
    """A database with the logs, for many examples."""
    with fresh_database(postgres_url) as backend:
        backend.run(LOGS)
        yield backend


@settings(max_examples=50)
@given(mixture=_MIXTURES, batch_rows=st.sampled_from([1, 2, 5, 1000]))
def test_any_mixture_is_split_as_the_rules_say(
    mixtures: Backend,
    tmp_path_factory: pytest.TempPathFactory,
    mixture: list[dict[str, str | None]],
    batch_rows: int,
) -> None:
    mixtures.run("TRUNCATE logs")
    for number, row in enumerate(mixture):
        mixtures.add_logs(DAY, 1, first_id=number, **row)
    store = LocalStore(tmp_path_factory.mktemp("mixture"))
    manifest = export(mixtures.url, dataset(**UNLIMITED), DAY, store, batch_rows=batch_rows)
    expected = {number: broken_rules(row) for number, row in enumerate(mixture)}
    assert [row["id"] for row in rows(store, manifest)] == [n for n in expected if not expected[n]]
    assert {
        row["id"]: {(reason["rule"], reason["column"]) for reason in row["rejections"]}
        for row in rejected(store, manifest)
    } == {number: broken for number, broken in expected.items() if broken}
    failed = Counter(rule for broken in expected.values() for rule in broken)
    counted = {(r.rule, r.column): r.failed for r in manifest.validation.rules if r.failed}
    assert counted == dict(failed)


# Mistakes in the accounting


def _sound() -> Tally:
    return Tally(source_rows=10, rows_read=10, rows_exported=8, rows_rejected=2)


def _set(**counts: int) -> Callable[[Tally], None]:
    return lambda tally: [setattr(tally, name, value) for name, value in counts.items()] and None


def test_a_sound_tally_is_not_held() -> None:
    assert not [v for v in judge(dataset(), _sound()) if v.holds]


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (_set(rows_exported=7), "row_conservation"),
        (_set(rows_exported=9), "row_conservation"),
        (_set(rows_rejected=1), "row_conservation"),
        (_set(rows_rejected=3), "row_conservation"),
        (_set(rows_read=9), "row_conservation"),
        (_set(rows_read=11), "row_conservation"),
        (_set(source_rows=9), "row_conservation"),
        (_set(source_rows=11), "row_conservation"),
        (_set(rows_read=9, rows_exported=7), "row_conservation"),
        (_set(source_rows=9, rows_exported=7), "row_conservation"),
        (lambda tally: tally.rows_filtered.update(some=1), "row_conservation"),
        (_set(rows_outside_window=1), "rows_outside_window"),
    ],
)
def test_a_day_whose_rows_do_not_add_up_is_held(
    mistake: Callable[[Tally], None], check: str
) -> None:
    tally = _sound()
    mistake(tally)
    assert [v.check for v in judge(dataset(), tally) if v.holds] == [check]


@pytest.mark.parametrize(
    ("target", "broken"),
    [
        ("engine.quarantine.QuarantineWriter.add", lambda honest: lambda *a: honest(*a) - 1),
        ("engine.quarantine.QuarantineWriter.add", lambda honest: lambda *a: honest(*a) + 1),
        ("sources.postgres.snapshot.PostgresDaySnapshot.batches",
         lambda honest: lambda *a: list(honest(*a))[1:]),
        ("sources.postgres.snapshot.PostgresDaySnapshot.batches",
         lambda honest: lambda *a: [b for batch in honest(*a) for b in (batch, batch)]),
    ],
)  # fmt: skip
def test_a_stage_that_loses_or_doubles_rows_is_caught(
    backend: Backend,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    broken: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    backend.add_logs(DAY, 10)
    backend.run("UPDATE logs SET level = 'odd' WHERE id IN (3, 7)")
    honest = export(backend.url, dataset(), DAY, store)
    original = pkgutil.resolve_name(f"exporter_pipelines.{target}")
    monkeypatch.setattr(f"exporter_pipelines.{target}", broken(original))
    with pytest.raises(DayHeldError, match="accounted for"):
        export(backend.url, dataset(), DAY, store, batch_rows=4)
    assert store.read_manifest("logs", DAY) == honest.to_json()
