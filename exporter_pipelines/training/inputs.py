"""The published days that a training set is built from, and their rows as Parquet work files.

The rows come from the verified loader, not from DuckDB's own readers: DuckDB needs several times
its memory limit for compressed JSON Lines.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exporter_pipelines.contracts.manifest import ColumnSchema, Manifest
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.engine import load
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    DayNotPublishedError,
    UnknownNameError,
    listed,
)

_ADDED = ("event_id", "label")
"""Columns that examples of rows have beside those of the dataset."""

ORDER = "_n"
"""Column that numbers the rows of all days of a dataset: by day, then in the order of the files."""


@dataclass(frozen=True)
class Input:
    """The days of one dataset.

    Attributes:
        dataset: Its name.
        key, time_column: Of its rows, under their exported names.
        columns: Of its rows; the same on all days.
        days: Day -> manifest, oldest first.
    """

    dataset: str
    key: str
    time_column: str
    columns: dict[str, ColumnSchema]
    days: dict[str, Manifest]

    def require(self, names: Iterable[str], what: str) -> None:
        """Refuse a column that the rows do not have.

        Raises:
            UnknownNameError: the message lists the columns.
        """
        for name in names:
            if name not in self.columns:
                raise UnknownNameError(f"{what}: column", name, self.columns)


@dataclass(frozen=True)
class Inputs:
    """Everything a set is built from.

    Attributes:
        rows: The dataset whose rows become examples.
        labels: Name -> label dataset.
        left_out: Day -> why it is not used.
    """

    rows: Input
    labels: dict[str, Input]
    left_out: dict[str, str]

    def open_ends(self) -> list[int]:
        """Ends of days, in microseconds, whose next day is not used."""
        windows = [manifest.window for manifest in self.rows.days.values()]
        starts = {window.start for window in windows}
        return [_microseconds(window.end) for window in windows if window.end not in starts]

    def versions(self) -> dict[str, dict[str, str]]:
        """Dataset -> day -> `data_version`."""
        return {
            each.dataset: {day: manifest.data_version for day, manifest in each.days.items()}
            for each in {each.dataset: each for each in (self.rows, *self.labels.values())}.values()
        }


def pin(config: TrainingSetConfig, store: Store) -> Inputs:
    """Choose the days of a set: those on which the rows and all labels are published.

    A day without its labels is left out, since its rows would all count as negative.

    Raises:
        DayNotPublishedError: no day is left.
        ColumnMismatchError: two days have other columns.
        UnknownNameError: a setting names a column that does not exist.
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
        raise DayNotPublishedError(
            f"Training set {config.name!r}: no day from {wanted[0] if wanted else '?'} to "
            f"{wanted[-1] if wanted else '?'} has published {' and '.join(found)}.",
            f"Export them first: exporter export {','.join(found)} FIRST LAST",
        )
    inputs = {name: _input(name, {day: found[name][day] for day in used}) for name in found}
    result = Inputs(
        inputs[config.dataset],
        {source.dataset: inputs[source.dataset] for source in config.labels},
        left_out,
    )
    _check_columns(config, result)
    return result


def _manifests(store: Store, dataset: str, config: TrainingSetConfig) -> dict[str, Manifest]:
    days = store.published_days(dataset)
    if config.days.first and config.days.last:
        days = [day for day in days if str(config.days.first) <= day <= str(config.days.last)]
    return {day: load.read_manifest(store, dataset, day) for day in days}


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
    source = days[max(days)].export_config["source"]
    columns = {column.name: column for column in days[max(days)].columns}
    for day, manifest in days.items():
        types = {column.name: column.type for column in manifest.columns}
        if types != {name: column.type for name, column in columns.items()}:
            raise ColumnMismatchError(
                f"{dataset} {day} was exported with other columns than {max(days)}.",
                "Export one of the two days again, or choose other days.",
            )
    return Input(dataset, source["key"], source["time_column"], columns, days)


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


def _microseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


class InputChangedError(Exception):
    """A day was exported again after it was chosen; choose the days again."""


def write_work_files(
    store: Store, chosen: Input, columns: Sequence[str], folder: Path
) -> list[Path]:
    """Write one Parquet file per day with rows, in the order of the days.

    Args:
        store: Where the days are published.
        chosen: The days.
        columns: That are needed; the others are left out.
        folder: Of the files; must exist.

    Raises:
        InputChangedError: a day was exported again in the meantime.
        PublishedDayDamagedError: a file is not what its manifest says.
    """
    files, number = [], 0
    for day, manifest in chosen.days.items():
        if not manifest.record_count:
            continue
        path = folder / f"{chosen.dataset}-{day}.parquet"
        with load.open_day(store, chosen.dataset, day) as reader:
            number = _write(reader, columns, number, path)
        if store.generation(chosen.dataset, day) is None or (
            load.read_manifest(store, chosen.dataset, day).data_version != manifest.data_version
        ):
            raise InputChangedError(f"{chosen.dataset} {day}")
        files.append(path)
    return files


def _write(reader: pa.RecordBatchReader, columns: Sequence[str], number: int, path: Path) -> int:
    schema = pa.schema([
        pa.field(ORDER, pa.int64()), *(reader.schema.field(name) for name in columns)
    ])  # fmt: skip
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for batch in reader:
            numbers = pa.array(np.arange(number, number + len(batch)))
            number += len(batch)
            arrays = [numbers, *(batch[name] for name in columns)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return number
