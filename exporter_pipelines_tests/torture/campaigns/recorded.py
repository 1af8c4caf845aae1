"""`dagster asset materialize` is killed when a day is published and not yet recorded."""

from __future__ import annotations

import signal

from exporter_pipelines_tests.support.dagster_history import history_of, materializations
from exporter_pipelines_tests.torture.commands import mortal_project, start
from exporter_pipelines_tests.torture.promises import Promise
from exporter_pipelines_tests.torture.trial import Trial

PROMISE = Promise.RECORDED

DAYS = [f"2026-11-{day:02}" for day in range(1, 21)]
_AT_ONCE = 2


def run(trial: Trial) -> None:
    """20 days, each killed at that moment; the next run of the days records every one."""
    with trial.backend() as backend:
        for number, day in enumerate(DAYS):
            backend.add_logs(day, 200, first_id=1_000 * number + 1)
        project = mortal_project(trial.folder / "project", backend, DAYS[0], "2026-11-21")
        killed: list[str] = []
        pairs = len(DAYS) // _AT_ONCE
        for number in trial.rounds(pairs, f"times {_AT_ONCE} kills", share=0.8):
            days = DAYS[_AT_ONCE * number :][:_AT_ONCE]
            # One as a single day and one as a range of one day, whose events are other ones.
            commands = [
                start(project, "published", partition=days[0]),
                start(project, "published", partition_range=f"{days[1]}...{days[1]}"),
            ]
            for day, command in zip(days, commands, strict=True):
                code = command.wait(120)
                on_disk = project.manifest("logs", day) is not None
                trial.check(code == -signal.SIGKILL, f"{day} ended with {code}", points=0)
                trial.check(on_disk, f"{day} is not on disk", points=0)
                killed.append(day)
        before = {day: project.manifest("logs", day) for day in killed}
        again = project.materialize(
            "logs", timeout=300, partition_range=f"{killed[0]}...{killed[-1]}"
        )
        trial.check(again.code == 0, f"the run after: {again.last_words}", points=0)
        with history_of(project) as instance:
            for day in killed:
                events = materializations(instance, "logs", day)
                manifest = project.manifest("logs", day)
                old = before[day]
                same = manifest and old and manifest.files == old.files
                files = "" if same else f": {old and old.files}, then {manifest and manifest.files}"
                found = f"{day}: {len(events)} events, same files: {bool(same)}{files}"
                trial.check(bool(events and same), found)
