"""`DatasetPreset`: a variant of a dataset, with an asset, history and output folder of its own."""

from __future__ import annotations

from typing import Self

import dagster as dg
from pydantic import BaseModel, ValidationError

from exporter_pipelines import catalog
from exporter_pipelines.components.checking import check_name, checked_dataset, located, position
from exporter_pipelines.components.dataset_export import DatasetExport
from exporter_pipelines.components.scaffolding import PresetScaffolder
from exporter_pipelines.contracts.dataset import DatasetConfig
from exporter_pipelines.contracts.preset import Preset, PresetConfig
from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.orchestration.exports.assets import PRESETS_GROUP


@dg.scaffold_with(PresetScaffolder)
class DatasetPreset(DatasetExport):
    """Exports a dataset in another way; see `contracts.preset` for what it may override.

    Stands in a group of its own, so that neither `group:exports` nor `all_exports_job` exports it.
    """

    group = PRESETS_GROUP

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes of a preset's `defs.yaml`."""
        return PresetConfig

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Lay the preset over its dataset, and check the whole.

        Raises:
            ConfigurationError: as for a dataset; or its name is taken, or there is no dataset that
                it could be like.
        """
        if not isinstance(attributes, Preset):
            raise ConfigurationError(
                f"{position(context)} has no attributes.", "See docs/presets.md."
            )
        check_name(attributes.name, context)
        with located(context, "like"):
            config = _laid_over(attributes)
        return cls(checked_dataset(config, context))


def _laid_over(preset: Preset) -> DatasetConfig:
    try:
        return DatasetConfig(**catalog.attributes_of(preset.name))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the defs.yaml of {preset.like!r} is wrong: {where}: {first['msg']}.",
            "Correct that one first.",
        ) from None
