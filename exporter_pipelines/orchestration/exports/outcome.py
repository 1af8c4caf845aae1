"""What became of the days of a run, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.errors import DayHeldError, ExporterError

HELD = DayHeldError.docs_anchor
UNEXPECTED = ExporterError.docs_anchor


@dataclass
class RunOutcome:
    """What became of the days of a run so far.

    Attributes:
        dataset: Name.
        days: All days of the run, in order.
        verdicts: Of the days that were judged.
        published: Days.
        problems: Day -> why it failed or was held.
        docs_anchors: Headings of docs/failures.md that explain them, in the order of their days.
        abort: Whether the remaining days are not tried.
    """

    dataset: str
    days: Sequence[str]
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    docs_anchors: dict[str, None] = field(default_factory=dict)
    abort: bool = False

    def note(self, day: str, problem: str, anchor: str) -> None:
        """A day that failed or is held, and the heading of docs/failures.md that says more."""
        self.problems[day] = problem
        self.docs_anchors[anchor] = None

    @property
    def unfinished(self) -> list[str]:
        """Days that were neither published nor found to be bad."""
        done = {*self.published, *self.problems}
        return [day for day in self.days if day not in done]

    @property
    def not_judged(self) -> list[str]:
        """Days that failed before their rows were judged, or were not tried."""
        return [day for day in self.days if day not in self.verdicts]

    def summary(self) -> str:
        """One line for a run that is over."""
        said = f"{self.dataset}: {len(self.published)} of {len(self.days)} days published"
        return f"{said}, {len(self.problems)} not." if self.problems else f"{said}."

    def failure(self) -> str:
        """Every day that is not published, why, and where to read what to do."""
        listed = self._problems()
        if not_tried := self.unfinished:
            listed.append(f"{self.dataset} not tried: {spans(not_tried, self.days)}.")
        if len(self.days) > 1:
            bad = len(self.problems) + len(self.unfinished)
            listed.insert(0, f"{bad} of {len(self.days)} days of {self.dataset}:")
        said = "\n".join(listed)
        if not self.docs_anchors:
            return said
        pages = ", ".join(f"docs/failures.md#{anchor}" for anchor in self.docs_anchors)
        return said + ("\n" if len(self.days) > 1 else " ") + f"See {pages}"

    def stopped(self, day: str) -> str:
        """What a cancel at `day` leaves: each day is accounted for."""
        said = f"{self.dataset}: stopped at {day}. "
        if self.published:
            count = f"{len(self.published)} of {len(self.days)} days were published and stay"
            named = f": {spans(self.published, self.days)}" if len(self.days) > 1 else ""
            said += f"{count}{named}."
        else:
            said += "Nothing new was published."
        if len(self.days) > 1 and self.unfinished:
            said += f" Not exported: {spans(self.unfinished, self.days)}."
        if self.problems:
            said += f" Failed: {spans([*self.problems], self.days)}."
        return "\n".join([said, *self._problems()])

    def _problems(self) -> list[str]:
        return [f"{self.dataset} {day}: {why}" for day, why in self.problems.items()]


def spans(days: Sequence[str], among: Sequence[str]) -> str:
    """Days in words: `2026-11-01, 2026-11-03 to 2026-11-09`.

    Args:
        days: Some of `among`.
        among: Days in order; neighbours there are joined.
    """
    place = {day: number for number, day in enumerate(among)}
    numbers = sorted(place[day] for day in days)
    said = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        first, last = among[run[0]], among[run[-1]]
        joined = [first] if len(run) == 1 else [first, last] if len(run) == 2 else []
        said.append(", ".join(joined) or f"{first} to {last}")
    return ", ".join(said)
