"""`DatasetPreset`: a variant of a dataset, with its own asset, history and output folder."""

from __future__ import annotations

from typing import ClassVar

import dagster as dg
from pydantic import BaseModel

from exporter_pipelines.components.dataset_export import DatasetExport
from exporter_pipelines.components.scaffolding import PresetScaffolder
from exporter_pipelines.contracts.preset import PresetConfig
from exporter_pipelines.orchestration.exports.assets import PRESETS_GROUP


@dg.scaffold_with(PresetScaffolder)
class DatasetPreset(DatasetExport):
    """Exports a dataset in another way; see `contracts.preset` for what it may override.

    Has its own group, so that neither `group:exports` nor `all_exports_job` exports it.
    """

    group = PRESETS_GROUP
    settings: ClassVar[type[BaseModel]] = PresetConfig
