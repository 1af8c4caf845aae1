"""Runs of the command `exporter export`, executed in its own process.

They have the history, checks, tags and concurrency pools of a run that `dagster asset materialize`
executes, with two differences: a run may have any set of days, and Dagster plans a day when the run
reaches it (`dagster_internals.deferred_plans`), not all days before the run starts.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Self

import dagster as dg

from exporter_pipelines.contracts.day_window import days_between
from exporter_pipelines.errors import HistoryUnavailableError
from exporter_pipelines.orchestration.dagster_internals.command_errors import history_disk_problem
from exporter_pipelines.orchestration.dagster_internals.deferred_plans import DEFERRED
from exporter_pipelines.orchestration.exports.export_group import DAYS_TAG, EXPORT_TAG

TAG = "exporter/command"
_RANGE_START, _RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
_QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
"""Dagster prints each event of a run on the terminal by default."""

DaysOf = Mapping[str, Sequence[str]]
"""Dataset -> days, in order."""


_MOST_OF_ALL_DATASETS = 1_500
"""Days of all datasets together in one run. Dagster keeps the events of a run in the memory of this
process until it ends: 0.1 MB for each day of a dataset."""


def split(
    days: DaysOf, most: int, most_of_all: int = _MOST_OF_ALL_DATASETS
) -> list[dict[str, list[str]]]:
    """The days of each run: consecutive parts of all days.

    Args:
        days: Of all runs together.
        most: Most different days of a part.
        most_of_all: Most days of all datasets together; a part has one day in any case.
    """
    parts, room = list[set[str]](), 0
    for day, datasets in sorted(Counter(chain.from_iterable(days.values())).items()):
        if not parts or len(parts[-1]) == most or room < datasets:
            parts.append(set())
            room = most_of_all
        parts[-1].add(day)
        room -= datasets
    return [
        {
            name: chosen
            for name, wanted in days.items()
            if (chosen := [day for day in wanted if day in part])
        }
        for part in parts
    ]


class CommandRuns:
    """Executes one run after another; a context manager.

    Args:
        definitions: All definitions of the project.
        instance: Records the runs.
        accept_loss: Whether published exports are replaced although the source has lost rows.
        total_days: Number of days of all datasets in all runs, which are one export.

    Attributes:
        interrupted: Whether SIGINT, SIGTERM or SIGHUP arrived.
        failures: Dataset -> what its step failed with, as a sentence.
    """

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        *,
        accept_loss: bool,
        total_days: int,
    ) -> None:
        self._definitions, self._instance = definitions, instance
        self._export = {EXPORT_TAG: str(uuid.uuid4()), DAYS_TAG: str(total_days)}
        self._accept_loss = accept_loss
        self._signals = SignalWatch()
        self.interrupted = False
        self.failures: dict[str, str] = {}

    def execute(self, days: DaysOf) -> None:
        """Export days in one run, which has then ended.

        Args:
            days: Dataset -> its days. Each has at least one.

        Raises:
            HistoryUnavailableError: Dagster could not write its history.
        """
        try:
            self._execute(days)
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            self.interrupted = True
        except Exception as error:
            # Broad: whatever Dagster raises around an error of its storage. Others are raised.
            if disk := history_disk_problem(error):
                raise HistoryUnavailableError(
                    f"Dagster cannot write its history: {disk}.",
                    "Free some space or mount it writable, then run the command again.",
                ) from error
            raise
        self.interrupted |= self._signals.received()

    def _execute(self, days: DaysOf) -> None:
        every = sorted(set().union(*days.values()))
        whole_range = days_between(every[0], every[-1])
        keys = [dg.AssetKey(name) for name in days]
        job = self._definitions.resolve_implicit_job_def_def_for_assets(keys)
        assert job, "all datasets have the same partitions"
        result = job.execute_in_process(
            run_config={
                "ops": {
                    name: {"config": _config(wanted, whole_range, accept_loss=self._accept_loss)}
                    for name, wanted in days.items()
                },
                "loggers": _QUIET,
            },
            instance=self._instance,
            asset_selection=keys,
            tags={
                _RANGE_START: every[0],
                _RANGE_END: every[-1],
                TAG: "export",
                **self._export,
                **DEFERRED,
            },
            raise_on_error=False,
        )
        for event in result.all_events:
            if event.is_step_failure and event.step_key:
                self.failures[event.step_key] = _reason(event, result.run_id)

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._signals.__exit__(*exc_info)


def _reason(event: dg.DagsterEvent, run_id: str) -> str:
    """Why a step failed: in its own words, as of a definition that was broken meanwhile."""
    failed = event.step_failure_data
    stated = failed.user_failure_data.description if failed.user_failure_data else None
    if stated:
        return stated.removeprefix(f"{event.step_key}: ")
    kind = (failed.error.cause or failed.error).cls_name if failed.error else "an error"
    return f"{kind} in run {run_id}, see its log in the Dagster UI."


def _config(
    days: Sequence[str], whole_range: Sequence[str], *, accept_loss: bool
) -> dict[str, Any]:
    """Run config of one dataset; the days only where they are not the whole range."""
    config: dict[str, Any] = {} if list(days) == list(whole_range) else {"days": list(days)}
    return config | ({"accept_loss_days": list(days)} if accept_loss else {})


class SignalWatch:
    """Notices SIGINT, SIGTERM and SIGHUP also where Dagster swallows them.

    Between two steps of a run, Dagster's handler only sets a flag, which it clears when the run
    ends. Python also writes the number of each signal to a file descriptor.
    """

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._read)
        os.close(self._write)

    def received(self) -> bool:
        """Whether one arrived since the last call."""
        try:
            numbers = os.read(self._read, 4096)
        except BlockingIOError:
            return False
        return any(number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) for number in numbers)
