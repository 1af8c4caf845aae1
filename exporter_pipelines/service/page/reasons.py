"""Why days of an export are not published. Days with the same reason are told together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter_pipelines.contracts.similar_days import grouped, spans
from exporter_pipelines.service.models import Result

_MOST_SPANS = 50


@dataclass(frozen=True)
class Reason:
    """Why days of a dataset are not published.

    Attributes:
        results: The days, in order; all have the same state.
        problem: Why, with `20 to 35` where the numbers of the days differ.
        action: What to do; empty if nothing is known.
    """

    results: list[Result]
    problem: str
    action: str

    @property
    def first(self) -> Result:
        """The first day."""
        return self.results[0]

    @property
    def days(self) -> str:
        """The days as text."""
        return spans((str(each.day) for each in self.results), _MOST_SPANS)

    @property
    def lost(self) -> list[Result]:
        """The days about which an operator decides."""
        return [each for each in self.results if each.lost_rows is not None]


def reasons_of(results: Iterable[Result]) -> list[Reason]:
    """The reasons, in the order of their first days; last those that follow from another day."""
    alike: dict[tuple[str, str, str | None], list[Result]] = {}
    for each in results:
        if each.status in ("held", "failed") and each.problem:
            alike.setdefault((each.dataset, each.status, each.docs_entry), []).append(each)
    found = [reason for members in alike.values() for reason in _reasons(members)]
    return sorted(
        found,
        key=lambda each: (each.first.docs_entry is None, each.first.dataset, each.first.day),
    )


def _reasons(results: list[Result]) -> list[Reason]:
    by_day = {str(each.day): each for each in results}
    problems = [(day, _without_action(each)) for day, each in by_day.items()]
    found = []
    for days, problem in grouped(problems):
        members = [by_day[day] for day in days]
        actions = grouped([(str(each.day), each.action or "") for each in members])
        found.append(Reason(members, problem, actions[0][1]))
    return found


def _without_action(result: Result) -> str:
    """Why a day is not published, without what `action` says again."""
    problem, action = result.problem or "", result.action or ""
    first, dot, last = problem.rpartition(". ")
    while dot and last.rstrip(".") in action:
        problem = f"{first}."
        first, dot, last = first.rpartition(". ")
    return problem
