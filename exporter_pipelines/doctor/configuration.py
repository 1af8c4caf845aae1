"""The `defs.yaml` files, each by itself: a broken one hides none of the others.

Dagster, too, says what is wrong with one, but of the first alone, and it takes seconds to load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from exporter_pipelines import catalog
from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.contracts.preset import Preset, PresetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.errors import ConfigurationError, ExporterError, UnknownNameError
from exporter_pipelines.formats import compression_named, format_named
from exporter_pipelines.transforms import RowFilter, transform_named

_TYPES = (
    "exporter_pipelines.components.DatasetExport",
    "exporter_pipelines.components.DatasetPreset",
)


@dataclass(frozen=True)
class _Place:
    """One document of a `defs.yaml`; `---` separates several.

    Attributes:
        name: Of the dataset or preset; the folder's when the document does not say it.
        file: Where it stands.
        number: Of the document, from 0.
    """

    name: str
    file: Path
    number: int


def names() -> list[str]:
    """Names of all datasets and presets; the folder's name stands for one that cannot be read."""
    return [place.name for place in _places()]


def read_datasets(only: str | None = None) -> Iterator[tuple[str, Dataset | Finding]]:
    """Each dataset, or what is wrong with it."""
    for place in _places():
        if only in (None, place.name):
            try:
                yield place.name, _read(place)
            except ExporterError as error:
                message = error.message.rstrip(".")
                yield place.name, Finding("FAIL", place.name, "defs.yaml", message, error.hint)


def _places() -> list[_Place]:
    files = sorted(catalog.DEFS.rglob("defs.yaml"))
    found = [place for file in files for place in _places_in(file)]
    return sorted(found, key=lambda place: place.name)


def _places_in(file: Path) -> list[_Place]:
    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except (yaml.YAMLError, OSError, ValueError):
        return [_Place(file.parent.name, file, 0)]
    return [
        _Place(_name(document) or file.parent.name, file, number)
        for number, document in enumerate(documents)
        if not _is_foreign(document)
    ]


def _is_foreign(document: Any) -> bool:
    """Whether it is a component of somebody else's, which Dagster loads as well."""
    kind = document.get("type") if isinstance(document, dict) else None
    return isinstance(kind, str) and not kind.startswith("exporter_pipelines.")


def _name(document: Any) -> str | None:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else None


def _read(place: _Place) -> Dataset:
    root = _node(place)
    catalog.refuse_repeated_keys(place.file)
    try:
        dataset = _dataset(place)
        for entry in dataset.config.filters:
            RowFilter(entry, dataset.schema)
        for transform in dataset.config.transforms:
            transform_named(transform, dataset.schema)
        format_named(dataset.config.format)
        compression_named(dataset.config.compression)
    except ValidationError as error:
        raise _invalid(place.file, root, error) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{place.file}: {error.message}", error.hint) from None
    except Exception as error:  # a schema.py is user code, which may raise anything
        raise ConfigurationError(
            f"{place.file}: its schema cannot be imported: {type(error).__name__}",
            "Import it in Python to see where.",
        ) from None
    return dataset


def _dataset(place: _Place) -> Dataset:
    document = list(yaml.safe_load_all(place.file.read_text()))[place.number]
    kind = document.get("type") if isinstance(document, dict) else None
    if kind not in _TYPES:
        raise UnknownNameError("type", str(kind), _TYPES)
    if names().count(place.name) > 1:
        raise ConfigurationError(
            f"the name {place.name!r} is taken twice: in "
            f"{' and '.join(catalog.folders_of(place.name))}",
            "It is an asset key and a folder of the output: give each one of its own.",
        )
    attributes = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(attributes, dict):
        raise ConfigurationError("has no attributes", "docs/datasets.md lists them.")
    if "like" in attributes:
        return _preset(place.name, PresetConfig(**attributes))
    config = DatasetConfig(**attributes)
    return Dataset(config, load_row_schema(config.row_schema))


def _preset(name: str, preset: Preset) -> Dataset:
    try:
        return catalog.dataset_named(name)
    except (ValidationError, yaml.YAMLError):
        raise ConfigurationError(
            f"{preset.like}, which it is like, or another file cannot be read",
            "Mend that first.",
        ) from None


def _node(place: _Place) -> Any:
    """The nodes of a document, which know their lines."""
    try:
        nodes = list(yaml.compose_all(place.file.read_text(), Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(
            f"{place.file}:{line}: not valid YAML: {error.problem}",
            "Look at the indentation and the brackets just before it.",
        ) from None
    except (OSError, ValueError, yaml.YAMLError):
        raise ConfigurationError(f"{place.file} is not a readable text file") from None
    return nodes[place.number]


def _invalid(file: Path, root: Any, error: ValidationError) -> ConfigurationError:
    # A misspelt setting before the missing one that it should have been.
    found = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    place = found[0]["loc"]
    said = found[0]["msg"].removeprefix("Value error, ")
    if found[0]["type"] == "extra_forbidden":
        said = "there is no such setting"
    elif found[0]["type"] == "missing":
        said = "is missing"
    hint = "docs/datasets.md lists every setting."
    if place[-1] == "url":
        hint = "Write the NAME of an environment variable that holds the URL, never the URL."
    field = ".".join(str(part) for part in place)
    return ConfigurationError(
        f"{file}:{_line(root, ('attributes', *place))}: {field}: {said}", hint
    )


def _line(node: Any, place: Sequence[Any]) -> int:
    """The line of the innermost part of `place` that the file has."""
    line = int(node.start_mark.line) + 1
    for part in place:
        inner = None
        if isinstance(node, yaml.MappingNode):
            inner = next(((k, v) for k, v in node.value if k.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            inner = (node.value[part], node.value[part]) if part < len(node.value) else None
        if inner is None:
            break
        line, node = inner[0].start_mark.line + 1, inner[1]
    return line
