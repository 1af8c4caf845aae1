"""Checks what a `defs.yaml` names: formats, columns, functions, rules, with the line of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._utils.schedules import is_valid_cron_schedule

from exporter_pipelines import catalog
from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig, check_select
from exporter_pipelines.contracts.effective_rules import check_thresholds, with_rules
from exporter_pipelines.contracts.row_schema import RowSchema, load_row_schema
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.formats import compression_named, format_named
from exporter_pipelines.orchestration.report.asset import TAKEN_NAMES
from exporter_pipelines.transforms import RowFilter, transform_named


def check_name(name: str, context: dg.ComponentLoadContext) -> None:
    """See that only one dataset or preset has a name.

    Raises:
        ConfigurationError: another has it too.
    """
    with located(context, "name"):
        if name in TAKEN_NAMES:
            raise ConfigurationError(
                f"the name {name!r} is taken by the export report.",
                "It is an asset key and a folder of the output: choose another.",
            )
        folders = catalog.folders_of(name)
        if len(folders) > 1:
            raise ConfigurationError(
                f"the name {name!r} is taken twice: in {' and '.join(folders)}.",
                "It is an asset key and a folder of the output: give each one of its own.",
            )


def checked_dataset(config: DatasetConfig, context: dg.ComponentLoadContext) -> Dataset:
    """The dataset of a configuration, if everything that it names exists and fits.

    Raises:
        ConfigurationError: it does not; the message begins with file and line.
    """
    with located(context, "format"):
        format_named(config.format)
    with located(context, "compression"):
        compression_named(config.compression)
    with located(context, "schedule"):
        _check_cron(config.schedule)
    with located(context, "schema"):
        schema = load_row_schema(config.row_schema)
    _check_parts(config, schema, context)
    with located(context, "source"):
        return Dataset(config, schema)


def _check_parts(
    config: DatasetConfig, schema: RowSchema, context: dg.ComponentLoadContext
) -> None:
    """What `Dataset` checks as well, one part at a time for the sake of its line."""
    for number, transform in enumerate(config.transforms):
        with located(context, "transforms", number):
            transform_named(transform, schema)
    for number, entry in enumerate(config.filters):
        with located(context, "filters", number):
            RowFilter(entry, schema)
    for number in range(len(config.rules)):
        # Together with those before it, whose name it may not have.
        with located(context, "rules", number):
            with_rules(schema, config.rules[: number + 1])
    with located(context, "thresholds"):
        check_thresholds(config.thresholds, schema, config.rules)
    with located(context, "select"):
        if {config.source.key, config.source.time_column} <= set(schema.names):
            check_select(config, schema)


def _check_cron(schedule: str | None) -> None:
    if schedule is not None and not is_valid_cron_schedule(schedule):
        raise ConfigurationError(
            f"schedule {schedule!r} is not a cron expression.",
            'Write five fields, as in "15 2 * * *".',
        )


@contextmanager
def located(context: dg.ComponentLoadContext, *at: str | int) -> Iterator[None]:
    """Begin the message of a ConfigurationError of the block with the place of an attribute."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{position(context, *at)}: {error.message}", error.hint) from None


def position(context: dg.ComponentLoadContext, *at: str | int) -> str:
    """`defs/logs/defs.yaml:14`, as near to the attribute as the file has it."""
    tree = getattr(context.component_decl, "source_tree", None)
    if tree is None:
        return f"{context.path}/defs.yaml"
    found, _ = tree.source_position_tree.lookup_closest_and_path(["attributes", *at], trace=None)
    return f"{found.filename}:{found.start.line}"
