"""Cron expressions are judged without Dagster, and never otherwise than Dagster would."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import given
from hypothesis import strategies as st

from exporter_pipelines.defs_files.cron import is_cron

GOOD = [
    "15 2 * * *", "*/5 * * * *", "0 0 1,15 * *", "0 9-17/2 * * mon-fri", "0 0 29 2 *", "@daily",
    "@HOURLY", "0 0 31 1,2 *", "59 23 31 12 7", "0 0 * jan-mar sun", " 1  2 * * * ",
    "0 22-2 * * fri-mon", "0 0 31 4 mon", "5/10 * * * *",
    "0 0 L * *", "0 0 1,L * *", "0 0 L 2 *", "0 0 * * L5", "0 0 * * 5#2", "0 0 * * fri#2",
    "0 0 ? * 1", "0 0 * * ?", "0 0 * * L5,L6",
]  # fmt: skip
BAD = [
    "", "whenever", "@noon", "15 2 x", "* * * *", "0 15 2 * * *", "61 * * * *", "* 24 * * *",
    "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "0 0 31 2 *", "0 0 30 2 *",
    "0 0 31 4,6 *", "*/0 * * * *", "1,,2 * * * *", "-1 * * * *", "* * * foo *",
    "*-5 * * * *", "1- * * * *", "L * * * *", "0 0 * * L", "0 0 * * 5#6", "0 0 L-1 * *",
    "0 0 * * L5,5#2", "? * * * *",
    "²  * * * *",
]  # fmt: skip

_number = st.integers(0, 62).map(str) | st.sampled_from(
    ["sun", "MON", "jan", "dec", "L", "L5", "5#2", "fri#1", "?", "x"]
)
_range = st.tuples(_number, _number).map("-".join) | _number | st.just("*")
_step = st.tuples(_range, st.integers(0, 62).map(str)).map("/".join) | _range
_field = st.lists(_step, min_size=1, max_size=3).map(",".join)
_plain = st.sampled_from(["*", "0", "1", "2", "29", "30", "31", "*/2", "1-5"]) | _field
_crons = st.lists(_plain, min_size=4, max_size=6).map(" ".join)


@pytest.mark.parametrize("cron", GOOD)
def test_what_a_daily_export_needs_is_accepted(cron: str) -> None:
    assert is_cron(cron)
    assert is_valid_cron_schedule(cron)


@pytest.mark.parametrize("cron", BAD)
def test_anything_else_is_refused(cron: str) -> None:
    assert not is_cron(cron)


@given(_crons)
def test_dagster_accepts_whatever_is_accepted(cron: str) -> None:
    assert not is_cron(cron) or is_valid_cron_schedule(cron)


@given(st.text(max_size=12))
def test_text_is_judged_and_never_an_error(text: str) -> None:
    assert not is_cron(text) or is_valid_cron_schedule(text)
