"""The outcome of each day of a run, and the messages about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from exporter_pipelines.engine import outside_days
from exporter_pipelines.engine.judge import Verdict
from exporter_pipelines.errors import DayHeldError, ExporterError

HELD = DayHeldError.docs_anchor
UNEXPECTED = ExporterError.docs_anchor


@dataclass
class RunOutcome:
    """The outcome of the days of a run so far.

    Attributes:
        dataset: Name.
        days: All days of the run, in order.
        verdicts: Day -> verdicts, for the days that were judged.
        published: Days that were published.
        kept: Days whose published export stays, although they were not held.
        problems: Day -> why it failed or was held.
        held: Days that were held; the other days of `problems` failed.
        docs_anchors: Headings of docs/failures.md about the problems, in the order of the days.
        abort: Whether to skip the remaining days.
    """

    dataset: str
    days: Sequence[str]
    verdicts: dict[str, Sequence[Verdict]] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    docs_anchors: dict[str, None] = field(default_factory=dict)
    abort: bool = False

    def add_problem(self, day: str, problem: str, anchor: str) -> None:
        """Record a day that failed or is held, with its heading in docs/failures.md."""
        self.problems[day] = problem
        if anchor == HELD:
            self.held.append(day)
        self.docs_anchors[anchor] = None

    def add(self, other: RunOutcome) -> None:
        """Add the outcome of another run of the same dataset."""
        self.verdicts.update(other.verdicts)
        self.published += other.published
        self.kept += other.kept
        self.problems.update(other.problems)
        self.held += other.held
        self.docs_anchors.update(other.docs_anchors)
        self.abort |= other.abort

    @property
    def failed(self) -> list[str]:
        """Days that failed; held days have not failed."""
        return [day for day in self.problems if day not in self.held]

    @property
    def warnings(self) -> dict[str, dict[str, str]]:
        """Check -> day -> reason, of the checks that warned about a published day."""
        found: dict[str, dict[str, str]] = {}
        for day in self.published:
            for verdict in self.verdicts.get(day, ()):
                if not verdict.passed and verdict.check != outside_days.CHECK:
                    found.setdefault(verdict.check, {})[day] = verdict.reason
        return found

    @property
    def warned(self) -> set[str]:
        """Published days with a check that warned about the day."""
        return {day for days in self.warnings.values() for day in days}

    @property
    def about_table(self) -> str:
        """The warning about rows that belong to no day, which all days share; empty for none."""
        verdicts = (verdict for day in self.published for verdict in self.verdicts.get(day, ()))
        return next(
            (v.reason for v in verdicts if v.check == outside_days.CHECK and not v.passed), ""
        )

    @property
    def unfinished(self) -> list[str]:
        """Days that were neither published or kept, nor failed or held."""
        done = {*self.published, *self.kept, *self.problems}
        return [day for day in self.days if day not in done]

    @property
    def not_judged(self) -> list[str]:
        """Days that failed before their rows were judged, or that were not tried."""
        return [day for day in self.days if day not in self.verdicts]

    def summary(self) -> str:
        """One line about a finished run."""
        published = len(self.published) + len(self.kept)
        text = f"{self.dataset}: {published} of {len(self.days)} days published"
        if warned := self.warned:
            text += f" ({len(warned)} with warnings)"
        if self.kept:
            text += f", {len(self.kept)} of them kept as before"
        return ", ".join(filter(None, [text, self._bad_days()])) + "."

    def failure(self) -> str:
        """All days that were not published, with their reasons and links to the docs."""
        listed = self._problems()
        if not_tried := self.unfinished:
            listed.append(f"{self.dataset} not tried: {spans(not_tried, self.days)}.")
        if len(self.days) > 1:
            bad = len(self.problems) + len(self.unfinished)
            count = f"{bad} of {len(self.days)} days of {self.dataset} are not published"
            listed.insert(0, f"{count}: {self._bad_days()}.")
        text = "\n".join(listed)
        if not self.docs_anchors:
            return text
        pages = ", ".join(f"docs/failures.md#{anchor}" for anchor in self.docs_anchors)
        return text + ("\n" if len(self.days) > 1 else " ") + f"See {pages}"

    def stopped(self, day: str) -> str:
        """The message about a run that was cancelled at `day`; it accounts for each day."""
        text = f"{self.dataset}: stopped at {day}. "
        if self.published:
            count = f"{len(self.published)} of {len(self.days)} days were published and stay"
            named = f": {spans(self.published, self.days)}" if len(self.days) > 1 else ""
            text += f"{count}{named}."
        else:
            text += "Nothing new was published."
        if len(self.days) > 1 and self.unfinished:
            text += f" Not exported: {spans(self.unfinished, self.days)}."
        if self.held:
            text += f" Held: {spans(self.held, self.days)}."
        if self.failed:
            text += f" Failed: {spans(self.failed, self.days)}."
        return "\n".join([text, *self._problems()])

    def _bad_days(self) -> str:
        """`3 held, 1 failed, 2 not tried`; only what is not 0."""
        counts = {"held": self.held, "failed": self.failed, "not tried": self.unfinished}
        return ", ".join(f"{len(days)} {what}" for what, days in counts.items() if days)

    def _problems(self) -> list[str]:
        return [f"{self.dataset} {day}: {why}" for day, why in self.problems.items()]


def not_tried_in(failure: str, dataset: str) -> str:
    """The days that `RunOutcome.failure` names as not tried, as it spells them; empty for none."""
    before = f"{dataset} not tried: "
    found = (line for line in failure.splitlines() if line.startswith(before))
    return next(found, "").removeprefix(before)


def spans(days: Sequence[str], among: Sequence[str]) -> str:
    """Days as text: `2026-11-01, 2026-11-03 to 2026-11-09`.

    Args:
        days: Some of `among`.
        among: Days in order; three or more neighbours become `first to last`.
    """
    place = {day: number for number, day in enumerate(among)}
    numbers = sorted(place[day] for day in days)
    text = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        first, last = among[run[0]], among[run[-1]]
        joined = [first] if len(run) == 1 else [first, last] if len(run) == 2 else []
        text.append(", ".join(joined) or f"{first} to {last}")
    return ", ".join(text)
