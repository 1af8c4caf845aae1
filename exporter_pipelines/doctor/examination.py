"""Runs all checks: the project first, then each dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from exporter_pipelines import databases
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.defs_files import Definition, Definitions
from exporter_pipelines.defs_files.training_sets import TrainingSets
from exporter_pipelines.doctor.connections import Connections
from exporter_pipelines.doctor.dagster_home import examine_dagster_home
from exporter_pipelines.doctor.dataset import examine_dataset, examine_preset
from exporter_pipelines.doctor.output import examine_leftovers, examine_output
from exporter_pipelines.doctor.privacy import examine_privacy
from exporter_pipelines.doctor.project import (
    examine_driver,
    examine_extras,
    examine_settings,
)
from exporter_pipelines.doctor.rows import RowCheck
from exporter_pipelines.errors import ConfigurationError

Broken = tuple[Definition, ConfigurationError]


def examine(
    only: Collection[str] = (),
    replaced: Sequence[str] = (),
    rows: RowCheck | None = None,
    not_loaded: Callable[[Definitions], Iterable[Broken]] = lambda _definitions: (),
) -> Iterator[Finding]:
    """Yield each finding as soon as it is known.

    Args:
        only: Check only these datasets, without any all; the project is always checked.
        replaced: Variables whose value in `.env` differs from the shell.
        rows: How long rows are read; afterwards, what was read.
        not_loaded: Returns what only Dagster finds wrong in definitions.
    """
    rows = rows or RowCheck()
    yield from examine_settings(replaced)
    yield from examine_extras()
    yield from examine_output()
    yield from examine_dagster_home()
    # A preset has the source of its dataset.
    seen: dict[str, str] = {}
    names_driver = False
    with Connections() as connections:
        for name, read in _datasets(only):
            if isinstance(read, ConfigurationError):
                yield Finding("FAIL", name, "defs.yaml", read.message.rstrip("."), read.hint)
                continue
            if not names_driver and databases.kind(read.config.source.url) == "postgres":
                yield examine_driver()
                names_driver = True
            if (same := seen.get(_source_of(read))) is None:
                yield from examine_dataset(read, connections, rows)
                seen[_source_of(read)] = name
            else:
                yield Finding("ok", name, "source", f"Same source as {same}")
                yield from examine_preset(read, connections, rows)
            yield from examine_privacy(read)
            yield from examine_leftovers(name)
    if not only:
        yield from _broken_training_sets()
        yield from _not_loaded(not_loaded)


def _datasets(only: Collection[str]) -> Iterator[tuple[str, Dataset | ConfigurationError]]:
    """Each dataset and preset by its name, or what is wrong with its definition."""
    definitions = Definitions()
    for definition in sorted(definitions, key=lambda each: each.name):
        if not only or definition.name in only:
            try:
                yield definition.name, definitions.checked(definition)
            except ConfigurationError as error:
                yield definition.name, error


def _broken_training_sets() -> Iterator[Finding]:
    """The training sets whose definition has a mistake, such as a dataset that was removed."""
    for each in TrainingSets():
        if mistake := each.mistake:
            yield Finding(
                "FAIL", each.name, "defs.yaml", mistake.message.rstrip("."), mistake.hint
            )  # fmt: skip


def _not_loaded(not_loaded: Callable[[Definitions], Iterable[Broken]]) -> Iterator[Finding]:
    """What only Dagster finds out, such as a mistake in a component of another package."""
    definitions = Definitions()
    if not definitions.need_dagster:
        return
    try:
        broken = [*not_loaded(definitions)]
    except ConfigurationError:
        return  # a setting of all datasets, reported by `examine_settings`
    for each, mistake in broken:
        yield Finding("FAIL", each.name, "defs.yaml", mistake.message.rstrip("."), mistake.hint)


def _source_of(dataset: Dataset) -> str:
    return f"{dataset.config.row_schema} {dataset.config.source.model_dump_json()}"
