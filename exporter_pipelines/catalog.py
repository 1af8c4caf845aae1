"""The datasets of this project, found below `defs/` without Dagster.

Belongs here: reading a `defs.yaml` for tests, notebooks, services and presets.
Does not belong here: saying which line of it is wrong; that is done where Dagster loads it.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.preset import PresetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.errors import ConfigurationError, UnknownNameError

DEFS = Path(__file__).parent / "defs"

_DATASET = "exporter_pipelines.components.DatasetExport"
_PRESET = "exporter_pipelines.components.DatasetPreset"


class _Entry(NamedTuple):
    """A document of a `defs.yaml`: its `type`, its attributes and their name, its folder."""

    kind: str
    name: str
    attributes: dict[str, Any]
    folder: str


def dataset_names() -> list[str]:
    """Names of all datasets, sorted; presets are not among them."""
    return sorted({entry.name for entry in _entries() if entry.kind == _DATASET})


def preset_names() -> list[str]:
    """Names of all presets, sorted."""
    return sorted({entry.name for entry in _entries() if entry.kind == _PRESET})


def exported_names() -> list[str]:
    """Names of all datasets, then of all presets: whatever has a folder of exports."""
    return [*dataset_names(), *preset_names()]


def folders_of(name: str) -> list[str]:
    """Names of the folders whose dataset or preset has this name: one, unless it is taken twice."""
    return [entry.folder for entry in _entries() if entry.name == name]


def refuse_repeated_keys(file: Path) -> None:
    """See that a file says nothing twice: YAML would let the last one win without a word.

    Raises:
        ConfigurationError: a key is repeated; the message begins with file and line.
    """
    try:
        nodes = list(yaml.compose_all(file.read_text(), Loader=yaml.SafeLoader))
    except (yaml.YAMLError, OSError, ValueError):
        return  # whoever reads it says what is wrong with it
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        if isinstance(node, yaml.MappingNode):
            lines: dict[Any, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if (first := lines.setdefault(key.value, line)) != line:
                    raise ConfigurationError(
                        f"{file}:{line}: {key.value} is given twice, first in line {first}.",
                        "Remove one of them.",
                    )
                nodes.append(value)


def attributes_of(name: str) -> dict[str, Any]:
    """The attributes of a dataset as they stand in its `defs.yaml`; of a preset, laid over those.

    Raises:
        UnknownNameError: there is no such dataset or preset, or none that the preset is like; the
            message lists them.
        pydantic.ValidationError: the preset says something that it may not.
    """
    for entry in _entries():
        if entry.name == name and entry.kind == _PRESET:
            preset = PresetConfig(**entry.attributes)
            return preset.laid_over(_dataset_attributes(preset.like))
        if entry.name == name:
            return entry.attributes
    raise UnknownNameError("dataset", name, sorted(exported_names()))


def dataset_named(name: str) -> Dataset:
    """A dataset or a preset with its row schema.

    Raises:
        UnknownNameError: there is no such dataset; the message lists them.
        ConfigurationError: its schema cannot be used.
    """
    config = DatasetConfig(**attributes_of(name))
    return Dataset(config, load_row_schema(config.row_schema))


def read_dataset(name: str) -> Dataset:
    """As `dataset_named`, for commands, which say in one sentence what is wrong with a file.

    Raises:
        UnknownNameError: there is no such dataset; the message lists them.
        ConfigurationError: its `defs.yaml` says something that cannot be, its schema cannot be
            used, or one of the files is no YAML.
    """
    try:
        return dataset_named(name)
    except yaml.YAMLError as error:  # it names file, line and column, each in a line of its own
        raise ConfigurationError(
            f"A defs.yaml is no YAML: {' '.join(str(error).split())}.",
            "`exporter doctor` looks at each file by itself.",
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{folders_of(name)[0]}/defs.yaml: {where}: {first['msg']}.",
            "`exporter doctor` names the line.",
        ) from None


def _dataset_attributes(name: str) -> dict[str, Any]:
    for entry in _entries():
        if entry.name == name and entry.kind == _DATASET:
            return entry.attributes
    raise UnknownNameError("like: dataset", name, dataset_names())


def _entries() -> list[_Entry]:
    """Every dataset and preset, in the order of their folders."""
    return [
        # A copy: the caller may change what it gets, and the cache must not.
        _Entry(
            document["type"],
            document["attributes"]["name"],
            deepcopy(document["attributes"]),
            file.parent.name,
        )
        for file in sorted(DEFS.rglob("defs.yaml"))
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
