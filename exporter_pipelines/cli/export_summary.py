"""The summary of `exporter export`, and its exit code."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from exporter_pipelines.cli.exit_codes import OUT_OF_REACH
from exporter_pipelines.cli.export_arguments import Request
from exporter_pipelines.cli.problem_lines import problem_lines
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.progress import duration
from exporter_pipelines.orchestration.exports.outcome import HELD, RunOutcome


@dataclass
class Totals:
    """What became of the days, over all runs of the command.

    Attributes:
        days: Dataset -> the days that were to be exported.
        outcomes: Of each dataset in each run that reached it.
        rows, rejected, size_bytes: Dataset -> sums over the published days.
    """

    days: Mapping[str, Sequence[str]]
    outcomes: list[RunOutcome] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)

    def add(self, manifest: Manifest) -> None:
        """Add a published day."""
        self.rows[manifest.dataset] += manifest.counts.exported
        self.rejected[manifest.dataset] += manifest.counts.rejected
        self.size_bytes[manifest.dataset] += manifest.file_size

    def of(self, dataset: str) -> RunOutcome:
        """The outcome of a dataset, over all runs."""
        whole = RunOutcome(dataset, self.days[dataset])
        for outcome in self.outcomes:
            if outcome.dataset == dataset:
                whole.add(outcome)
        return whole

    @property
    def aborted(self) -> bool:
        """Whether a dataset gave up its remaining days: the next run would fail as well."""
        return any(outcome.abort for outcome in self.outcomes)

    @property
    def out_of_reach(self) -> bool:
        """Whether the database or the output folder could not be reached."""
        return any(
            outcome.abort and OUT_OF_REACH.intersection(outcome.docs_anchors)
            for outcome in self.outcomes
        )


def exit_code(totals: Totals, *, interrupted: bool) -> int:
    """See the help of the command."""
    if interrupted:
        return 130
    if totals.out_of_reach:
        return 3
    done = [totals.of(dataset) for dataset in totals.days]
    return int(any(outcome.problems or outcome.unfinished for outcome in done))


def print_summary(
    request: Request, totals: Totals, failures: Mapping[str, str], *, interrupted: bool
) -> None:
    """Print one line per dataset, the days with a problem, and what to do next.

    Args:
        request: What was asked for.
        totals: What became of it.
        failures: Dataset -> what its step failed with. Shown for datasets without an outcome.
        interrupted: Whether the command was interrupted.
    """
    done = [totals.of(dataset) for dataset in totals.days]
    width = max(map(len, totals.days))
    for outcome in done:
        if outcome.days:
            click.echo(f"{outcome.dataset:<{width}}  {_counts(totals, outcome)}")
    for outcome in done:
        if outcome.about_table:
            click.echo(f"{outcome.dataset}: {outcome.about_table}")
        _print_warnings(outcome)
        _print_problems(outcome)
    for name in set(failures) - {outcome.dataset for outcome in totals.outcomes}:
        click.echo(f"{name}: no day was tried: {failures[name]}")
    anchors = dict.fromkeys(anchor for outcome in done for anchor in outcome.docs_anchors)
    if anchors:
        click.echo(f"See {', '.join(f'docs/failures.md#{anchor}' for anchor in anchors)}")
    _print_next(request, done, interrupted=interrupted)
    count = sum(len(outcome.published) + len(outcome.kept) for outcome in done)
    days = sum(len(outcome.days) for outcome in done)
    stopped = "Interrupted: " if interrupted else ""
    seconds = time.monotonic() - totals.began
    click.echo(f"{stopped}{count:,} of {days:,} days published in {duration(seconds)}.")


def _counts(totals: Totals, outcome: RunOutcome) -> str:
    """`13 of 14 days published, 1 held; 25,987 rows, 412 rejected, 1.2 MB`.

    The rows are those of published days. Without one, they are left out: the reason of a held day,
    below this line, says how many were rejected.
    """
    name, days = outcome.dataset, outcome.summary().partition(": ")[2].rstrip(".")
    if not outcome.published:
        return days
    megabytes = totals.size_bytes[name] / 1e6
    rows = f"{totals.rows[name]:,} rows, {totals.rejected[name]:,} rejected, {megabytes:,.1f} MB"
    return f"{days}; {rows}"


def _print_warnings(outcome: RunOutcome) -> None:
    """The first day of each kind of warning."""
    for check, days in outcome.warnings.items():
        day, reason = next(iter(days.items()))
        more = len(days) - 1
        others = f" (and {more:,} more day{'s' * (more > 1)})" if more else ""
        click.echo(f"{outcome.dataset} {day}{others}: published with a warning, {check}: {reason}")


def _print_problems(outcome: RunOutcome) -> None:
    for line in problem_lines(outcome.dataset, [*outcome.problems.items()]):
        click.echo(line)


def _print_next(request: Request, done: Sequence[RunOutcome], *, interrupted: bool) -> None:
    unfinished = interrupted or any(outcome.unfinished for outcome in done)
    anchors = {anchor for outcome in done for anchor in outcome.docs_anchors}
    states = [
        "missing" if unfinished else "",
        "held" if HELD in anchors else "",
        "failed" if anchors - {HELD} else "",
    ]
    if any(states):
        only = ",".join(filter(None, states))
        click.echo(f"To export these days again: {request.again(only)}")
