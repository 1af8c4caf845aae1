"""The datasets of this project, found below `defs/` without Dagster.

Belongs here: reading a `defs.yaml` for tests, notebooks, services and presets.
Does not belong here: saying which line of it is wrong; that is done where Dagster loads it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.preset import PresetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.errors import UnknownNameError

DEFS = Path(__file__).parent / "defs"

_DATASET = "exporter_pipelines.components.DatasetExport"
_PRESET = "exporter_pipelines.components.DatasetPreset"


def dataset_names() -> list[str]:
    """Names of all datasets, sorted; presets are not among them."""
    return sorted({name for kind, name, _ in _documents() if kind == _DATASET})


def preset_names() -> list[str]:
    """Names of all presets, sorted."""
    return sorted({name for kind, name, _ in _documents() if kind == _PRESET})


def is_taken(name: str) -> bool:
    """Whether more than one dataset or preset has this name."""
    return [found for _, found, _ in _documents()].count(name) > 1


def attributes_of(name: str) -> dict[str, Any]:
    """The attributes of a dataset as they stand in its `defs.yaml`; of a preset, laid over those.

    Raises:
        UnknownNameError: there is no such dataset or preset, or none that the preset is like; the
            message lists them.
        pydantic.ValidationError: the preset says something that it may not.
    """
    for kind, found, attributes in _documents():
        if found == name and kind == _PRESET:
            preset = PresetConfig(**attributes)
            return preset.laid_over(_dataset_attributes(preset.like))
        if found == name:
            return attributes
    raise UnknownNameError("dataset", name, sorted([*dataset_names(), *preset_names()]))


def dataset_named(name: str) -> Dataset:
    """A dataset or a preset with its row schema.

    Raises:
        UnknownNameError: there is no such dataset; the message lists them.
        ConfigurationError: its schema cannot be used.
    """
    config = DatasetConfig(**attributes_of(name))
    return Dataset(config, load_row_schema(config.row_schema))


def _dataset_attributes(name: str) -> dict[str, Any]:
    for kind, found, attributes in _documents():
        if found == name and kind == _DATASET:
            return attributes
    raise UnknownNameError("like: dataset", name, dataset_names())


def _documents() -> list[tuple[str, str, dict[str, Any]]]:
    """(type, name, attributes) of every dataset and preset, in the order of their folders."""
    return [
        (document["type"], document["attributes"]["name"], document["attributes"])
        for file in sorted(DEFS.glob("*/defs.yaml"))
        for document in _read(file, file.stat().st_mtime_ns)
    ]


@lru_cache(maxsize=256)
def _read(file: Path, changed_ns: int) -> list[dict[str, Any]]:  # noqa: ARG001 - a key of the cache
    """The documents of a file that are ours and have a name; Dagster says what others lack."""
    with file.open() as stream:  # an error of YAML then names the file
        documents = list(yaml.safe_load_all(stream))
    return [
        document
        for document in documents
        if isinstance(document, dict)
        and document.get("type") in {_DATASET, _PRESET}
        and isinstance(document.get("attributes"), dict)
        and "name" in document["attributes"]
    ]
