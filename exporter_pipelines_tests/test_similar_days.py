"""Days that are not published for the same reason are told together: in commands and messages."""

from __future__ import annotations

import pytest

from exporter_pipelines.cli.problem_lines import problem_lines
from exporter_pipelines.contracts.similar_days import grouped, spans

pytestmark = pytest.mark.unit

DAYS = [f"2026-11-{day:02}" for day in range(1, 31)]


def held(day: str, rows: int) -> tuple[str, str]:
    quarantine = f"s3://a bucket/logs/quarantine/date={day}/logs-{day}.1f0c{rows}-9a41.jsonl.gz"
    return day, (
        f"held; the published export of 2026-12-01 02:15:{rows:02} UTC stays. "
        f"{rows} of 1,{rows:03} rows rejected: 2 x known_level. Rejected rows: {quarantine}. "
        f"Run `keep {day}`."
    )


def test_a_command_tells_a_reason_once_with_all_its_days() -> None:
    problems = [held(day, rows) for rows, day in enumerate(DAYS[:6], 10)]
    problems[3] = (DAYS[3], "The database is away.")
    assert list(problem_lines("logs", problems)) == [
        "logs 2026-11-01 to 2026-11-03, 2026-11-05, 2026-11-06 (5 days): held; the published "
        "export of 2026-12-01 02:15:10 to 2026-12-01 02:15:15 UTC stays. 10 to 15 of 1,010 to "
        "1,015 rows rejected: 2 x known_level. Run `keep that day`.",
        "logs 2026-11-04: The database is away.",
    ]


def test_a_day_alone_keeps_all_that_its_reason_says() -> None:
    assert list(problem_lines("logs", [held(DAYS[0], 10)])) == [
        f"logs {DAYS[0]}: {held(DAYS[0], 10)[1]}"
    ]


def test_a_cause_comes_before_what_follows_from_it() -> None:
    given_up = f"Not tried: the run gave up logs when {DAYS[0]} failed."
    problems = [(DAYS[0], "The database is away."), *((day, given_up) for day in DAYS[1:])]
    assert list(problem_lines("logs", problems)) == [
        f"logs {DAYS[0]}: The database is away.",
        f"logs {DAYS[1]} to {DAYS[-1]} (29 days): {given_up}",
    ]


def test_names_and_versions_are_no_numbers_that_may_differ() -> None:
    problems = [(DAYS[0], "1 x rule_1 (ipv4)"), (DAYS[1], "1 x rule_2 (ipv4)")]
    assert len(grouped(problems)) == 2


def test_what_a_command_leaves_out_is_counted() -> None:
    problems = [(day, f"Reason {chr(65 + n)}.") for n, day in enumerate(DAYS[:12])]
    assert list(problem_lines("logs", problems))[-1] == (
        "logs: 2 more days are held or failed, see the Dagster UI."
    )
    assert spans(DAYS[::2], 3) == "2026-11-01, 2026-11-03, 2026-11-05 and 12 more"
