"""Finds training sets whose days have changed, and builds them again if their settings say so.

https://docs.dagster.io/guides/automate/sensors

Dagster compares data versions for itself, but not over the partitions of an upstream asset; and
removed days have no event.
"""

from __future__ import annotations

import json

import dagster as dg

from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.docs_links import linked
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    DayNotPublishedError,
    ExporterError,
)
from exporter_pipelines.orchestration.training.asset import GROUP, UP_TO_DATE
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines.training.staleness import Staleness, staleness


@dg.sensor(
    name="training_sets_sensor",
    target=dg.AssetSelection.groups(GROUP),
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description=linked(
        "Compares training sets with the published days. When a day was exported again, added or "
        "removed, the check up_to_date of the set warns, and the set is built again if its "
        "`rebuild` is `when_days_change`. See docs/training.md"
    ),
)
def training_sets_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Compare all training sets; report each new difference once."""
    store = open_store()
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    events: list[dg.AssetCheckEvaluation] = []
    runs, notes, now = [], [], {}
    for definition in TrainingSets():
        if definition.config is None:
            continue
        config = definition.config
        try:
            found = staleness(config, store)
        except (ConfigurationError, DayNotPublishedError, ColumnMismatchError) as refused:
            version = reason = f"It cannot be built from the days that are published now. {refused}"
            changes = 1
            notes.append(f"{config.name}: {refused}")
        except ExporterError as error:
            notes.append(f"{config.name}: {error}")
            continue
        else:
            if found is None:
                notes.append(f"{config.name} was not built yet.")
                continue
            version, reason, changes = found.version, found.sentence, len(found.changes)
            if changes and config.rebuild == "when_days_change":
                runs.append(_run(config, found))
        now[config.name] = version
        if seen.get(config.name) != version:
            events.append(_evaluation(config.name, reason, changes))
    skip = None if runs else dg.SkipReason(" ".join(notes) or f"{len(now)} sets compared.")
    return dg.SensorResult(
        run_requests=runs, asset_events=events, cursor=json.dumps(now), skip_reason=skip
    )


def _evaluation(name: str, sentence: str, changes: int) -> dg.AssetCheckEvaluation:
    """The check `up_to_date`, which passes without changes."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(name),
        check_name=UP_TO_DATE,
        passed=not changes,
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence,
        metadata={"changes": changes},
    )


def _run(config: TrainingSetConfig, found: Staleness) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{config.name}-{found.version}", asset_selection=[dg.AssetKey(config.name)]
    )
