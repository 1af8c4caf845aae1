"""Loads `defs/`, and says in one sentence what is wrong with a `defs.yaml`.

Dagster reports a bad file as a tree and a hundred lines of traceback, with the offending value,
which may be a password that was pasted where the name of a variable belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import yaml
from dagster_shared.error import DagsterUnresolvableSymbolError
from pydantic import BaseModel, ValidationError

from exporter_pipelines import catalog
from exporter_pipelines.contracts.dataset import DatasetConfig, SourceConfig
from exporter_pipelines.contracts.late_data import LateDataConfig
from exporter_pipelines.contracts.preset import PresetConfig
from exporter_pipelines.contracts.refinements import FilterConfig, RuleConfig, TransformConfig
from exporter_pipelines.contracts.retention import RetentionConfig
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.orchestration.exports.assets import GROUP, PRESETS_GROUP
from exporter_pipelines.orchestration.exports.descriptions import summary_of


def load_datasets(project: Path) -> dg.Definitions:
    """The definitions of all datasets below `defs/`.

    Args:
        project: A path within the project; pyproject.toml is looked for from there upwards.

    Raises:
        ConfigurationError: a defs.yaml, or the schema it names, is wrong; begins with its place.
    """
    for file in sorted(catalog.DEFS.rglob("defs.yaml")):
        catalog.refuse_repeated_keys(file)
    try:
        return dg.load_from_defs_folder(path_within_project=project)
    except Exception as error:
        for cause in _causes(error):
            if found := _explained(cause):
                raise found from None
        raise


def exported(datasets: dg.Definitions) -> dict[str, str]:
    """Name -> description of everything that is exported, presets last; not what depends on it."""
    groups = [GROUP, PRESETS_GROUP]
    assets = [asset for asset in datasets.assets or () if isinstance(asset, dg.AssetsDefinition)]
    specs = [spec for asset in assets for spec in asset.specs if spec.group_name in groups]
    specs.sort(key=lambda spec: groups.index(str(spec.group_name)))
    return {spec.key.to_user_string(): summary_of(spec.description) for spec in specs}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explained(error: BaseException) -> ExporterError | None:
    """What a cause says to the author of a defs.yaml; None when it says nothing to them."""
    if isinstance(error, ExporterError):
        return error
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return ConfigurationError(
            f"{mark.name}:{mark.line + 1}: not valid YAML: {error.problem}.",
            "Look at the indentation and the brackets just before it.",
        )
    if isinstance(error, DagsterUnresolvableSymbolError):
        return ConfigurationError(
            f"A defs.yaml names a type that does not exist: {error}",
            "Write `type: exporter_pipelines.components.DatasetExport`, or `DatasetPreset`.",
        )
    return None


def _invalid(error: ValidationError) -> ConfigurationError:
    """The first error of a validated file; Dagster writes its place into the location."""
    # A misspelt setting before the missing one that it should have been.
    found = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    first = found[0]
    location = ".".join(str(part) for part in first["loc"])
    field, _, place = location.partition(" at ")
    field = field.removeprefix("attributes.")
    said = first["msg"].removeprefix("Value error, ")
    hint = ""
    if first["type"] == "extra_forbidden":
        known = _fields(field, error.title)
        said, hint = "there is no such setting", f"There are: {', '.join(known)}."
    elif first["type"] == "missing":
        said = "is missing"
    elif field == "source" or field.endswith("url") or "://" in str(first["input"]):
        # What stands there may be a URL with a password.
        hint = "Write the NAME of an environment variable that holds the URL, never the URL."
    elif not isinstance(first["input"], Mapping):
        hint = f"It is {first['input']!r}."
    return ConfigurationError(f"{place or 'defs.yaml'}: {field}: {said}.", hint)


def _fields(field: str, model: str) -> list[str]:
    whole = PresetConfig if model == PresetConfig.__name__ else DatasetConfig
    owners: dict[str, type[BaseModel]] = {
        "source": SourceConfig,
        "transforms": TransformConfig,
        "filters": FilterConfig,
        "rules": RuleConfig,
        "retention": RetentionConfig,
        "late_data": LateDataConfig,
    }
    owner = owners.get(field.split(".")[0], whole) if "." in field else whole
    return [info.alias or name for name, info in owner.model_fields.items()]
