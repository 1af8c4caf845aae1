"""`TrainingSet`: turns the `defs.yaml` of a training set into an asset with checks."""

from __future__ import annotations

from typing import Self

import dagster as dg
from pydantic import BaseModel

from exporter_pipelines.components.attributes import attributes_like
from exporter_pipelines.contracts.training_set import TrainingSetConfig
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.defs_files.training_sets import TrainingSetDefinition, TrainingSets
from exporter_pipelines.orchestration.training.asset import (
    broken_training_set,
    training_set_asset,
)


class TrainingSet(dg.Component):
    """Builds a labelled, split set of examples from published days.

    Its attributes are `contracts.training_set.TrainingSetConfig`, read by `defs_files`.
    """

    def __init__(self, definition: TrainingSetDefinition | None) -> None:
        self.definition = definition

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes of a `defs.yaml`."""
        return attributes_like(TrainingSetConfig)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:  # noqa: ARG003
        """Read the definition in the document that Dagster is at."""
        number = context.component_path.instance_key
        definitions = Definitions(context.defs_module_path)
        return cls(TrainingSets(definitions).in_folder(context.path, int(number or 0)))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """The asset; one with a mistake fails with it."""
        if self.definition is None:
            return dg.Definitions()
        if self.definition.config is None:
            return dg.Definitions(
                assets=[broken_training_set(self.definition.name, str(self.definition.mistake))]
            )
        return dg.Definitions(assets=[training_set_asset(self.definition.config)])
