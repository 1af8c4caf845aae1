"""`exporter export`: exports the days in runs of this process, and follows them.

Imported only when the command runs: importing Dagster takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter_pipelines import definitions, settings
from exporter_pipelines.cli.export_arguments import Request
from exporter_pipelines.cli.export_progress import ProgressDisplay
from exporter_pipelines.cli.export_summary import Totals, exit_code, print_summary
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.orchestration.exports.command_instance import instance_of_command
from exporter_pipelines.orchestration.exports.command_run import CommandRuns, split
from exporter_pipelines.orchestration.exports.exit_messages import take_messages
from exporter_pipelines.orchestration.exports.known_warnings import silence_all
from exporter_pipelines.orchestration.exports.observers import observed_by
from exporter_pipelines.orchestration.exports.outcome import RunOutcome


def run(request: Request, days: Mapping[str, Sequence[str]]) -> int:
    """Export the days, print the summary, and return the exit code."""
    silence_all()
    totals, count = Totals(days), sum(map(len, days.values()))
    with (
        ProgressDisplay(count, "loading Dagster") as progress,
        instance_of_command() as instance,
        CommandRuns(
            definitions.build(for_ui=False),
            instance,
            accept_loss=request.accept_loss,
            total_days=count,
        ) as runs,
        observed_by(_Follower(progress, totals)),
    ):
        for part in split(days, settings.max_days()):
            runs.execute(part)
            if runs.interrupted or totals.aborted:
                break
    take_messages()  # the summary has them
    print_summary(request, totals, runs.failures, interrupted=runs.interrupted)
    return exit_code(totals, interrupted=runs.interrupted)


class _Follower:
    """The observer of the runs, see `observers.RunObserver`."""

    def __init__(self, progress: ProgressDisplay, totals: Totals) -> None:
        self._progress, self._totals, self._day = progress, totals, ""

    def dataset_began(self, outcome: RunOutcome) -> None:
        """See `RunObserver`."""
        self._totals.outcomes.append(outcome)

    def day_began(self, dataset: str, day: str) -> None:
        """See `RunObserver`."""
        self._day = day
        self._progress.begin(dataset, day)

    def rows_read(self, rows: int, total: int) -> None:
        """See `RunObserver`."""
        self._progress.rows(rows, total)

    def day_published(self, manifest: Manifest) -> None:
        """See `RunObserver`."""
        self._totals.add(manifest)

    def day_ended(self) -> None:
        """See `RunObserver`."""
        self._progress.end(problem=self._day in self._totals.outcomes[-1].problems)
