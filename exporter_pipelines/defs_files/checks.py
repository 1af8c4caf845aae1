"""The one list of checks of a `defs.yaml`: each raises one sentence that begins with its place.

Belongs here: what is wrong with one document, given what the others say.
Does not belong here: finding the files and the other documents (`definitions`).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from exporter_pipelines.contracts.column_settings import check_default, check_nullable
from exporter_pipelines.contracts.dataset import Dataset, check_privacy, check_select
from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.effective_rules import check_thresholds, with_rules
from exporter_pipelines.contracts.preset import Preset, PresetConfig
from exporter_pipelines.contracts.privacy import weakened
from exporter_pipelines.contracts.reserved_names import check_column_names
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.defs_files.cron import is_cron
from exporter_pipelines.defs_files.document_parts import DATASET, PRESET
from exporter_pipelines.defs_files.documents import Document
from exporter_pipelines.defs_files.mistakes import invalid, located
from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.formats import compression_named, format_named
from exporter_pipelines.transforms import RowFilter, transform_named


def is_ours(document: Document) -> bool:
    """Whether it defines a dataset or a preset, and not a component of another package."""
    return document.value["type"] in (DATASET, PRESET)


def is_preset(document: Document) -> bool:
    """Whether it defines a preset, as far as it says."""
    value = document.value if isinstance(document.value, dict) else {}
    attributes = value.get("attributes")
    return value.get("type") == PRESET or (
        value.get("type") != DATASET and isinstance(attributes, dict) and "like" in attributes
    )


def attributes_of(document: Document) -> dict[str, Any]:
    """The attributes of a document.

    Raises:
        ConfigurationError: there are none.
    """
    attributes = document.value.get("attributes")
    if not attributes:
        page = "presets" if is_preset(document) else "datasets"
        raise mistake_at(
            document.place("attributes"), "attributes: is missing.",
            f"docs/{page}.md lists every setting.",
        )  # fmt: skip
    return dict(attributes)


def checked_dataset(document: Document) -> Dataset:
    """The dataset of a document.

    Raises:
        ConfigurationError: there is a mistake in it.
    """
    config = _validated(document, DatasetConfig, attributes_of(document))
    assert isinstance(config, DatasetConfig)
    return _checked(document, config)


def preset_of(document: Document) -> Preset:
    """The preset of a document, not laid over its dataset yet.

    Raises:
        ConfigurationError: there is a mistake in it.
    """
    preset = _validated(document, PresetConfig, attributes_of(document))
    assert isinstance(preset, Preset)
    return preset


def checked_preset(document: Document, preset: Preset, base: Document) -> Dataset:
    """The dataset that a preset makes of another one, whose document has no mistake.

    Raises:
        ConfigurationError: the two do not fit.
    """
    attributes = preset.merged_with(attributes_of(base))
    config = _validated(document, DatasetConfig, attributes)
    assert isinstance(config, DatasetConfig)
    with located(document, "privacy"):
        _refuse_weaker_policy(_validated(base, DatasetConfig, attributes_of(base)), config)
    return _checked(document, config)


def _refuse_weaker_policy(base: BaseModel, own: DatasetConfig) -> None:
    assert isinstance(base, DatasetConfig)
    if base.privacy and (sentence := weakened(base.privacy, own.privacy)):
        raise ConfigurationError(sentence, "A preset may add to a policy; see docs/privacy.md.")


def _validated(document: Document, model: type[BaseModel], attributes: Any) -> BaseModel:
    try:
        return model.model_validate(attributes)
    except ValidationError as error:
        raise invalid(document, model, error) from None


def _checked(document: Document, config: DatasetConfig) -> Dataset:
    with located(document, "format"):
        format_named(config.format)
    with located(document, "compression"):
        compression_named(config.compression)
    with located(document, "schedule"):
        _check_cron(config.schedule)
    with located(document, "schema"):
        schema = _imported(config.row_schema)
    _check_parts(document, config, schema)
    with located(document, "source"):
        return Dataset(config, schema)


def _check_parts(document: Document, config: DatasetConfig, schema: RowSchema) -> None:
    """What `Dataset` checks as well, one part at a time for the sake of its line."""
    with located(document, "source", "query"):
        if config.source.query is not None and not config.source.query.strip():
            raise ConfigurationError("source.query: is empty.", "Write a SELECT, or `table`.")
    for number, transform in enumerate(config.transforms):
        with located(document, "transforms", number):
            transform_named(transform, schema)
    for number, entry in enumerate(config.filters):
        with located(document, "filters", number):
            RowFilter(entry, schema)
    for number in range(len(config.rules)):
        # Together with those before it, whose name it may not have.
        with located(document, "rules", number):
            with_rules(schema, config.rules[: number + 1])
    for number, name in enumerate(config.nullable):
        with located(document, "nullable", number):
            check_nullable(name, config.source, schema)
    with located(document, "thresholds"):
        check_thresholds(config.thresholds, schema, config.rules)
    judging = config.judging(schema)
    for name, value in config.defaults.items():
        with located(document, "defaults", name):
            check_default(name, value, config.source, judging)
    with located(document, "select"):
        if {config.source.key, config.source.time_column} <= set(schema.names):
            check_select(config, schema)
    with located(document, "privacy"):
        if {config.source.key, config.source.time_column} <= set(schema.names):
            check_privacy(config, schema)
    with located(document, "schema" if config.select is None else "select"):
        check_column_names(config.select or schema.names, config.row_schema)


def _check_cron(schedule: str | None) -> None:
    if schedule is not None and not is_cron(schedule):
        raise ConfigurationError(
            f"schedule {schedule!r} is not a cron expression.",
            'Write five fields, as in "15 2 * * *".',
        )


def _imported(path: str) -> RowSchema:
    # Here, since names of datasets are read without their models, and pandas takes half a second.
    from exporter_pipelines.contracts.row_models import load_row_schema

    try:
        return load_row_schema(path)
    except ConfigurationError:
        raise
    except (Exception, SystemExit) as error:  # a schema.py may raise anything
        raise ConfigurationError(
            f"schema {path!r} cannot be imported: {type(error).__name__}.",
            "Import it in Python to see the stack trace.",
        ) from None
