"""The dates of `/export`: days, and moments that begin or end a day."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter_pipelines.service.models import Day
from exporter_pipelines.service.problems import Problem
from exporter_pipelines.service.request_dates import first_day, last_day


@pytest.mark.parametrize(
    ("text", "timezone", "day"),
    [
        ("2026-11-01", "UTC", "2026-11-01"),
        ("2026-11-01T00:00:00", "UTC", "2026-11-01"),
        ("2026-11-01T00:00", "UTC", "2026-11-01"),
        ("2026-11-01 00:00:00", "UTC", "2026-11-01"),
        ("2026-11-01T00:00:00.000Z", "UTC", "2026-11-01"),
        ("2026-11-01T02:00:00+02:00", "UTC", "2026-11-01"),
        ("2026-11-01T00:00:00", "Europe/Berlin", "2026-11-01"),
        ("2026-10-31T23:00:00Z", "Europe/Berlin", "2026-11-01"),
        ("2026-10-25T00:00:00", "Europe/Berlin", "2026-10-25"),
        ("2026-10-24T22:00:00Z", "Europe/Berlin", "2026-10-25"),
        # Midnight does not exist on this day: clocks go from 00:00 to 01:00.
        ("2026-09-06T01:00:00", "America/Santiago", "2026-09-06"),
    ],
)
def test_a_start_is_a_day_or_its_beginning(text: str, timezone: str, day: str) -> None:
    assert str(first_day(text, timezone, "/start_date")) == day


@pytest.mark.parametrize(
    ("text", "timezone", "day"),
    [
        ("2026-11-03", "UTC", "2026-11-03"),
        ("2026-11-03T00:00:00", "UTC", "2026-11-02"),
        ("2026-11-03T00:00:00Z", "UTC", "2026-11-02"),
        ("2026-11-03T23:59:59", "UTC", "2026-11-03"),
        ("2026-11-03T23:59:59.999999Z", "UTC", "2026-11-03"),
        ("2026-11-03T22:59:59Z", "Europe/Berlin", "2026-11-03"),
        ("2026-11-02T23:00:00Z", "Europe/Berlin", "2026-11-02"),
        ("2026-10-26T00:00:00", "Europe/Berlin", "2026-10-25"),
        ("2026-03-01T00:00:00", "UTC", "2026-02-28"),
    ],
)
def test_an_end_is_a_day_or_where_one_ends(text: str, timezone: str, day: str) -> None:
    assert str(last_day(text, timezone, "/end_date")) == day


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T12:00:00", "2026-11-01T00:00:01", "2026-11-01T23:59:59",
        "2026-11-01T00:00:00+02:00", "2026-13-01", "20261101", "2026-11-1", "2026-W44-7",
        "1700000000", "", "today", "2026-11-01T24:00:00", "2026-11-01T00:00:00 UTC",
        "\u0662026-11-01", "0001-01-01T00:00:00", "9999-12-31T00:00:00", "2026-11-01\n",
    ],
)  # fmt: skip
def test_other_starts_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        first_day(text, "UTC", "/startDate")
    assert caught.value.status == 422
    assert caught.value.errors[0].pointer == "/startDate"


@pytest.mark.parametrize(
    "text",
    ["2026-11-01T12:00:00", "2026-11-01T23:59:58.9", "2026-11-01T23:59", "2026-11-01T00:00:00.1",
     "2026-02-30", "2026-11-01T25:00:00", "soon"],
)  # fmt: skip
def test_other_ends_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        last_day(text, "UTC", "/end_date")
    assert caught.value.status == 422


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_whose_midnights_are_in_no_year_is_refused(day: str) -> None:
    with pytest.raises(ValidationError, match="0002 to 9998"):
        TypeAdapter(Day).validate_python(day)
    for read in (first_day, last_day):
        with pytest.raises(Problem):
            read(day, "UTC", "/start_date")
