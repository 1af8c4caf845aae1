"""Chooses the published days of a training set, and refuses days that do not fit together.

Belongs here: everything that can be said before a row is read. Does not belong here: reading rows
(`work_files`).
"""

from __future__ import annotations

import datetime as dt

from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.engine import load
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    DayNotPublishedError,
    listed,
)
from exporter_pipelines.training.identity_spaces import refuse_different_pseudonyms
from exporter_pipelines.training.inputs import Input, Inputs

_ADDED = ("event_id", "label")
"""Columns that examples of rows have beside those of the dataset."""


def pin(config: TrainingSetConfig, store: Store) -> Inputs:
    """Choose the days of a set: those on which the rows and all labels are published.

    A day without its labels is left out, since its rows would all count as negative.

    Raises:
        DayNotPublishedError: no day is left.
        ColumnMismatchError: two days have other columns.
        UnknownNameError: a setting names a column that does not exist.
        DifferentPseudonymsError: a group or join compares pseudonyms that do not agree.
    """
    names = [config.dataset, *dict.fromkeys(source.dataset for source in config.labels)]
    found = {name: _manifests(store, name, config) for name in dict.fromkeys(names)}
    wanted = _days(config, found[config.dataset])
    used, left_out = [], {}
    for day in wanted:
        missing = [name for name, days in found.items() if day not in days]
        if missing:
            left_out[day] = f"not published: {listed(missing)}"
        else:
            used.append(day)
    if not used:
        days = f"no day from {wanted[0]} to {wanted[-1]}" if wanted else "no day"
        span = f"{wanted[0]} {wanted[-1]}" if wanted else "FIRST LAST"
        lacking = [name for name, each in found.items() if each.keys().isdisjoint(wanted)]
        names = lacking or [*found]
        raise DayNotPublishedError(
            f"Training set {config.name!r}: {days} has published {' and '.join(names)} at "
            f"{store.location}.",
            f"Export them first: exporter export {' '.join(names)} {span}. Or set "
            "EXPORTER_OUTPUT_URL to the folder or bucket that has them.",
        )
    inputs = {name: _input(name, {day: found[name][day] for day in used}) for name in found}
    result = Inputs(
        inputs[config.dataset],
        {source.dataset: inputs[source.dataset] for source in config.labels},
        left_out,
    )
    _check_columns(config, result)
    refuse_different_pseudonyms(config, result)
    return result


def _manifests(store: Store, dataset: str, config: TrainingSetConfig) -> dict[str, Manifest]:
    days = store.published_days(dataset)
    if config.days.first and config.days.last:
        days = [day for day in days if str(config.days.first) <= day <= str(config.days.last)]
    return load.read_manifests(store, dataset, days)


def _days(config: TrainingSetConfig, published: dict[str, Manifest]) -> list[str]:
    if config.days.first and config.days.last:
        first, last = config.days.first, config.days.last
    elif published:
        last = dt.date.fromisoformat(max(published))
        first = last - dt.timedelta(days=(config.days.trailing or 1) - 1)
    else:
        return []
    return [str(first + dt.timedelta(days=n)) for n in range((last - first).days + 1)]


def _input(dataset: str, days: dict[str, Manifest]) -> Input:
    newest = days[max(days)]
    columns = {column.name: column for column in newest.columns}
    for day, manifest in days.items():
        types = {column.name: column.type for column in manifest.columns}
        if types != {name: column.type for name, column in columns.items()}:
            raise ColumnMismatchError(
                f"{dataset} {day} was exported with other columns than {max(days)}.",
                "Export one of the two days again, or choose other days.",
            )
    key = load.source_column(newest, "key")
    return Input(dataset, key, load.source_column(newest, "time_column"), columns, days)


def _check_columns(config: TrainingSetConfig, inputs: Inputs) -> None:
    rows = inputs.rows
    for taken in _ADDED if config.windows is None else ():
        if taken in rows.columns:
            raise ConfigurationError(
                f"{rows.dataset} has a column {taken!r}, which a training set adds.",
                "Export it under another name (`columns:` in its defs.yaml).",
            )
    rows.require([config.message], "message")
    rows.require(config.features or [], "features")
    rows.require(config.dedup.exact, "dedup.exact")
    rows.require([config.sample.by] if config.sample else [], "sample.by")
    rows.require([config.windows.group] if config.windows else [], "windows.group")
    rows.require([config.split.groups] if config.split.groups else [], "split.groups")
    for number, source in enumerate(config.labels):
        labels = inputs.labels[source.dataset]
        ((theirs, ours),) = source.by.items()
        labels.require([theirs], f"labels[{number}].by")
        rows.require([ours], f"labels[{number}].by")
        labels.require([each.column for each in source.when], f"labels[{number}].when")
        if source.within is None and ours != rows.key:
            raise ConfigurationError(
                f"labels[{number}]: `within` is missing. {ours!r} is not the key of "
                f"{rows.dataset}, so one label would mark every row with this {ours}.",
                "Write how long after a row its label may come, such as `within: 5m`.",
            )
        if labels.columns[theirs].type != rows.columns[ours].type:
            raise ConfigurationError(
                f"labels[{number}].by: {theirs!r} of {labels.dataset} is "
                f"{labels.columns[theirs].type}, but {ours!r} of {rows.dataset} is "
                f"{rows.columns[ours].type}.",
                "Both must have the same type.",
            )


class InputChangedError(Exception):
    """A day was exported again or removed after it was chosen; choose the days again."""


def require_unchanged(store: Store, inputs: Inputs) -> None:
    """Require that all days are still published as they were chosen.

    Raises:
        InputChangedError: one of them is not.
    """
    for dataset, days in inputs.versions().items():
        for day, data_version in days.items():
            require_same_day(store, dataset, day, data_version)


def require_same_day(store: Store, dataset: str, day: str, data_version: str) -> None:
    """Require that a day is published with this `data_version`; raises as `require_unchanged`."""
    manifest = Manifest.if_readable(store.read_manifest(dataset, day))
    if manifest is None or manifest.data_version != data_version:
        raise InputChangedError(f"{dataset} {day}")
