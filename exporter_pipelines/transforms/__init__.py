"""Small changes to a batch before it is validated: (batch, parameters) -> batch.

Belongs here: one module per transform, found by its `name`; each counts the values it changes.
Does not belong here: how a value looks in a file (`formats`).
"""

from __future__ import annotations

from pydantic import ValidationError

from exporter_pipelines.contracts.dataset import TransformConfig
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.errors import ConfigurationError, UnknownNameError
from exporter_pipelines.transforms.level_aliases import LevelAliases

_TRANSFORMS = {transform.name: transform for transform in (LevelAliases,)}


def transform_named(config: TransformConfig, schema: RowSchema) -> LevelAliases:
    """The transform of an entry in `defs.yaml`.

    Raises:
        UnknownNameError: no transform has this name; the message lists them.
        ConfigurationError: its parameters do not fit.
    """
    if config.name not in _TRANSFORMS:
        raise UnknownNameError("transform", config.name, _TRANSFORMS)
    transform = _TRANSFORMS[config.name]
    try:
        return transform(transform.Params(**config.params), schema)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"transform {config.name!r}: parameter {where!r}: {first['msg']}.",
            f"It takes: {', '.join(transform.Params.model_fields)}.",
        ) from None
