"""The datasets of this project, found below `defs/` without Dagster.

Belongs here: reading a `defs.yaml` for tests, notebooks and services.
Does not belong here: saying which line of it is wrong; that is done where Dagster loads it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines.contracts.dataset import Dataset, DatasetConfig
from exporter_pipelines.contracts.row_schema import load_row_schema
from exporter_pipelines.errors import UnknownNameError

DEFS = Path(__file__).parent / "defs"


def dataset_names() -> list[str]:
    """Names of all datasets, sorted."""
    return sorted(_attributes())


def attributes_of(name: str) -> dict[str, Any]:
    """The attributes in the `defs.yaml` of a dataset, as they stand there.

    Raises:
        UnknownNameError: there is no such dataset; the message lists them.
    """
    found = _attributes()
    if name not in found:
        raise UnknownNameError("dataset", name, sorted(found))
    return found[name]


def dataset_named(name: str) -> Dataset:
    """A dataset with its row schema.

    Raises:
        UnknownNameError: there is no such dataset; the message lists them.
        ConfigurationError: its schema cannot be used.
    """
    config = DatasetConfig(**attributes_of(name))
    return Dataset(config, load_row_schema(config.row_schema))


@cache
def _attributes() -> dict[str, dict[str, Any]]:
    documents = [yaml.safe_load(file.read_text()) for file in sorted(DEFS.glob("*/defs.yaml"))]
    return {document["attributes"]["name"]: document["attributes"] for document in documents}
