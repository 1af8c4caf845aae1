"""Changes to a batch before it is validated: (batch, parameters) -> batch.

Belongs here: one module per built-in transform, found by its `name`, which counts the values it
changes; user-defined transforms; filters, which leave rows out.
Does not belong here: how a value is written to a file (`formats`).
"""

from __future__ import annotations

from pydantic import ValidationError

from exporter_pipelines.contracts.refinements import TransformConfig
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.strict import first_problem
from exporter_pipelines.errors import ConfigurationError, UnknownNameError
from exporter_pipelines.transforms.contract import Transform
from exporter_pipelines.transforms.function import FunctionTransform
from exporter_pipelines.transforms.level_aliases import LevelAliases
from exporter_pipelines.transforms.row_filter import RowFilter

__all__ = ["RowFilter", "Transform", "transform_named"]

_TRANSFORMS = {transform.name: transform for transform in (LevelAliases,)}


def transform_named(config: TransformConfig, schema: RowSchema) -> Transform:
    """The transform of an entry in `defs.yaml`.

    Raises:
        UnknownNameError: no transform has this name; the message lists them.
        ConfigurationError: its parameters or its function cannot be used.
    """
    name = config.title
    if config.function is not None:
        if name in _TRANSFORMS:
            raise ConfigurationError(
                f"transform {name!r} is built in.", "Choose another name for your function."
            )
        return FunctionTransform(config)
    if name not in _TRANSFORMS:
        raise UnknownNameError("transform", name, _TRANSFORMS)
    transform = _TRANSFORMS[name]
    try:
        return transform(transform.Params(**config.params), schema)
    except ValidationError as error:
        where, problem = first_problem(error)
        raise ConfigurationError(
            f"transform {name!r}: parameter {where!r}: {problem}.",
            f"It takes: {', '.join(transform.Params.model_fields)}.",
        ) from None
