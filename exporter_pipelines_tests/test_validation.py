"""The fast validation and the whole Pandera schema give the same results."""

# ruff: noqa: UP045, N805 - Pandera evaluates annotations, and its rules are class methods

from __future__ import annotations

import socket
from collections import Counter
from typing import Annotated, Any, Optional

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.effective_rules import with_rules, without
from exporter_pipelines.contracts.refinements import RuleConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.rules import parses_as_address
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.engine.validate import by_whole_schema, validate
from exporter_pipelines.errors import ColumnMismatchError, ExporterError, RuleCrashedError

OWN = "exporter_pipelines_tests.support.custom_rules"
CALLS: list[int] = []


class EventRow(pandera.DataFrameModel):
    """A column of each type, and a rule of each kind that Pandera has."""

    id: pa.int64 = pandera.Field(ge=0)
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field()
    ended: Optional[Annotated[pa.timestamp, "us", "UTC"]] = pandera.Field(nullable=True)
    message: pa.string = pandera.Field(str_length={"max_value": 5}, str_matches="^[a-zä]*$")
    device: Optional[pa.string] = pandera.Field(nullable=True, isin=["a", "b"])
    source: Optional[pa.string] = pandera.Field(nullable=True)
    score: Optional[pa.float64] = pandera.Field(
        nullable=True, in_range={"min_value": 0, "max_value": 1}
    )
    flag: Optional[pa.bool_] = pandera.Field(nullable=True)

    @pandera.check("id", name="even", element_wise=True)
    def _even(cls, number: int) -> bool:
        return number % 2 == 0

    @pandera.check("source", name="said", ignore_na=False)
    def _said(cls, source: pd.Series) -> pd.Series:
        CALLS.append(len(source))
        return source.notna()

    @pandera.check("ended", name="not_before_2000")
    def _not_before_2000(cls, ended: pd.Series) -> pd.Series:
        return ended >= pd.Timestamp("2000-01-01", tz="UTC")

    @pandera.dataframe_check(name="ends_after_start")
    def _ends_after_start(cls, rows: pd.DataFrame) -> pd.Series:
        return (rows["timestamp"] <= rows["ended"]).fillna(True)

    @pandera.dataframe_check(name="flagged", ignore_na=False)
    def _flagged(cls, rows: pd.DataFrame) -> pd.Series:
        return rows["flag"].fillna(False)


class StrictRow(pandera.DataFrameModel):
    """One rule whose verdict is a table, and one on the index: both for Pandera alone."""

    id: pa.int64 = pandera.Field()
    timestamp: Annotated[pa.timestamp, "us", "UTC"] = pandera.Field()

    class Config:
        """Of the model."""

        strict = True
        ordered = True

    @pandera.dataframe_check(name="cells")
    def _cells(cls, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.isin([0, 1, 2, 3])


EVENTS = load_row_schema(f"{__name__}.EventRow")
TEXTS = st.none() | st.sampled_from(["", "a", "b", "ä", "abcdef", "A\n", "x" * 300, "0", "\x00"])
INSTANTS = st.none() | st.sampled_from([0, 1, 946_684_800_000_000, -62_135_596_800_000_000])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | st.integers(-3, 3),
            "timestamp": INSTANTS,
            "ended": INSTANTS,
            "message": TEXTS,
            "device": TEXTS,
            "source": TEXTS,
            "score": st.none() | st.sampled_from([0.0, 1.0, 1.5, float("nan"), float("inf")]),
            "flag": st.none() | st.booleans(),
        }
    ),
    max_size=8,
)
BLANK = dict.fromkeys(EVENTS.names)


def rule(name: str, **settings: Any) -> RuleConfig:
    return RuleConfig(name=name, function=f"{OWN}.{name}", **settings)


HARMLESS = with_rules(
    EVENTS,
    [
        rule("short_enough", columns=["message"], params={"limit": 3}),
        rule("device_named_in_source", columns=["device", "source"]),
        rule("not_repeated"),
    ],
)


def outcome(judge: Any, batch: pa.RecordBatch, schema: RowSchema) -> object:
    """The reasons of each row in their order, or the error."""
    try:
        found: list[Rejection] = judge(batch, schema)
    except ExporterError as error:
        return type(error), str(error)
    # Pandera sorts the rows of a rule by the columns that have a value: of no consequence.
    return sorted(found, key=lambda rejection: rejection.row), Counter(found)


def events(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=EVENTS.arrow)


@settings(max_examples=20)
@given(ROWS)
@example([BLANK])
@example([{**BLANK, "score": float("nan")}])
@example([])
def test_both_ways_reject_the_same_for_the_same_reasons(rows: list[dict[str, Any]]) -> None:
    batch = events(rows)
    assert outcome(validate, batch, HARMLESS) == outcome(by_whole_schema, batch, HARMLESS)


@pytest.mark.parametrize("name", ["raising", "one_verdict", "texts", "fewer"])
def test_both_ways_refuse_the_same_rules(name: str) -> None:
    columns = {"texts": ["message"], "fewer": ["message"]}.get(name, [])
    schema = with_rules(EVENTS, [rule(name, columns=columns)])
    batch = events([{**BLANK, "message": text} for text in ("a", "abcdef", "b")])
    assert outcome(validate, batch, schema) == outcome(by_whole_schema, batch, schema)


def test_fewer_rules_are_judged_the_same_way() -> None:
    batch = events([{**BLANK, "id": 1}, {**BLANK, "message": "abcdef"}])
    for schema in (without(HARMLESS, ["even", "flagged"]), EVENTS.without_rules()):
        assert outcome(validate, batch, schema) == outcome(by_whole_schema, batch, schema)


@settings(max_examples=5)
@given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 5), "timestamp": INSTANTS})))
def test_what_is_not_plain_is_left_to_pandera(rows: list[dict[str, Any]]) -> None:
    schema = load_row_schema(f"{__name__}.StrictRow")
    batch = pa.RecordBatch.from_pylist(rows, schema=schema.arrow)
    assert outcome(validate, batch, schema) == outcome(by_whole_schema, batch, schema)


def test_a_batch_with_bad_rows_is_judged_once() -> None:
    CALLS.clear()
    bad = {**BLANK, "id": 2, "timestamp": 5, "message": "abcdef", "source": None}
    rejections = validate(events([bad, bad]), EVENTS)
    assert CALLS == [2]
    assert ("message", "abcdef") in {(r.column, r.value) for r in rejections}
    with pytest.raises(RuleCrashedError, match="raised an exception"):
        validate(events([bad]), with_rules(EVENTS, [rule("raising")]))


class AlwaysTrueRow(pandera.DataFrameModel):
    """Rules that cannot reject a row; each is judged alone."""

    id: pa.int64 = pandera.Field()
    device: Optional[pa.string] = pandera.Field(nullable=True)

    @pandera.check("device", name="one_of_column")
    def _one_of_column(cls, device: pd.Series) -> bool:
        return True

    @pandera.check("device", name="too_few")
    def _too_few(cls, device: pd.Series) -> pd.Series:
        return device.head(1) != ""

    @pandera.dataframe_check(name="one_of_rows")
    def _one_of_rows(cls, rows: pd.DataFrame) -> bool:
        return bool(len(rows) >= 1)

    @pandera.dataframe_check(name="one_of_groups", groupby="device")
    def _one_of_groups(cls, groups: dict[str, pd.DataFrame]) -> bool:
        return len(groups) < 3


TRUE_FOR_ALL = {
    "one_of_column": "device", "too_few": "device", "one_of_rows": "whole rows",
    "one_of_groups": "whole rows",
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE_FOR_ALL)
@pytest.mark.parametrize("judge", [validate, by_whole_schema])
def test_a_rule_that_is_true_for_all_rows_at_once_is_refused(name: str, judge: Any) -> None:
    schema = load_row_schema(f"{__name__}.AlwaysTrueRow")
    schema = without(schema, TRUE_FOR_ALL.keys() - {name})
    batch = pa.RecordBatch.from_pylist(
        [{"id": 1, "device": "a"}, {"id": 2, "device": "b"}], schema=schema.arrow
    )
    said = f"rule '{name}' on {TRUE_FOR_ALL[name]} returned one result for all rows"
    with pytest.raises(RuleCrashedError, match=said):
        judge(batch, schema)


def test_columns_of_other_types_are_a_mismatch() -> None:
    batch = pa.RecordBatch.from_pylist([{**BLANK, "id": "1"}])
    with pytest.raises(ColumnMismatchError):
        validate(batch, EVENTS)


_PIECES = st.sampled_from(
    ["0", "1", "00", "255", "256", "25", "٣", "a", "F", "12ab", "12345", "::", ":", ".", "1.2.3.4",
     "01.2.3.4", "/8", "%eth0", " ", "\n", "\0", "x"]
)  # fmt: skip
_GROUPS = st.lists(
    st.one_of(
        st.integers(0, 0xFFFF).map(lambda n: f"{n:x}"),
        st.integers(0, 0xFFFF).map(lambda n: f"{n:04X}"),
        st.sampled_from(["", "0", "00000", "10000", "fffff", "g"]),
    ),
    max_size=9,
)
_ENDS = st.one_of(
    st.just(""),
    st.ip_addresses(v=4).map(str),
    st.sampled_from(
        ["1.2.3", "1.2.3.256", "1.2.3.04", "1.2.3.4.5", "%eth0", "/64", "\n", " ", "\0"]
    ),
)
ALMOST = st.one_of(
    st.lists(_PIECES).map("".join),
    st.builds(lambda groups, end: ":".join(groups) + end, _GROUPS, _ENDS),
    st.builds(
        lambda first, last, end: "::".join((":".join(first), ":".join([*last, end]))),
        _GROUPS, _GROUPS, _ENDS,
    ),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
    st.text(),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.none() | ALMOST | st.ip_addresses().map(str), max_size=25))
@example(
    [
        None, "", "1.2.3.4", "01.2.3.4", "1.2.3.4\n", "1.2.3", "256.1.1.1", "a\0", "::1", ":::",
        "::", ":", "1:", ":1", "1::", "::1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8",
        "1:2::4:5:6:7:8:9", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5::1.2.3.4",
        "1:2:3:4:5:6::1.2.3.4", "::1.2.3.4:5", "::1.2.3.04", "::0001", "::00001", "::10000", "::G",
        "FE80::1", "fe80::1%eth0", "fe80::1%", "2001:DB8::a/64", "[::1]", " ::1", "::1 ", "::1\n",
        "::1\0", "\0::1", "::\N{FULLWIDTH DIGIT ONE}", "1:" * 100_000, "f" * 100_000,
        "0:" * 7 + "0" * 100_000,
    ]
)  # fmt: skip
def test_addresses_are_what_the_system_parses(texts: list[str | None]) -> None:
    series = pd.Series(texts, dtype=pd.ArrowDtype(pa.string()))
    assert parses_as_address(series).tolist() == [parses(text) for text in texts]


def test_ipv6_of_every_length_before_and_after_the_double_colon() -> None:
    texts = [
        f"{':'.join(['Ab1'] * before)}::{':'.join(['0f'] * after)}{end}"
        for before in range(10)
        for after in range(10)
        for end in ("", ":", ":1.2.3.4", "1.2.3.4", ":01.2.3.4")
    ]
    texts += [":".join(["c"] * groups) + end for groups in range(10) for end in ("", ":1.2.3.4")]
    series = pd.Series(texts, dtype=pd.ArrowDtype(pa.string()))
    verdicts = [parses(text) for text in texts]
    assert parses_as_address(series).tolist() == verdicts
    assert 50 < sum(verdicts) < len(texts) / 2


def parses(text: str | None) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text or "")
            return True
        except (OSError, ValueError):
            continue
    return False
