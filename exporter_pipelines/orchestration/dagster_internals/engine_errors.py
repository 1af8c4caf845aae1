"""The newest engine event of a run that says why the run ended.

Reason: if Dagster fails a run whose process was killed, the failure only says that the run "has
    been marked as failed from outside". The reason is in an engine event before it. Dagster marks
    that event neither as an error nor by a type, only by the words of its text.
Upstream: none found.
Test: test_outside_failures.py::test_the_words_of_dagster_about_a_killed_process
"""

from __future__ import annotations

import dagster as dg

_WORDS = ("was terminated by signal", "unexpectedly exited", "terminated unexpectedly")
_MOST_CHARACTERS = 500


def engine_error(event: dg.DagsterEvent) -> str:
    """The error that an engine event is about, on one line; empty if it is about none."""
    error = event.engine_event_data.error
    if error:
        while error.cause:
            error = error.cause
        text = f"{event.message} {error.message}"
    elif any(words in (event.message or "") for words in _WORDS):
        text = event.message or ""
    else:
        return ""
    return " ".join(text.split())[:_MOST_CHARACTERS]


def newest_engine_error(instance: dg.DagsterInstance, run_id: str) -> str:
    """The newest engine error of a run; empty if there is none."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    found = [engine_error(entry.dagster_event) for entry in events if entry.dagster_event]
    return next((text for text in reversed(found) if text), "")
