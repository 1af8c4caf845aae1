"""The attributes of a `defs.yaml` as Dagster documents them.

Dagster takes any mapping here, and `defs_files` checks it: were Dagster to check it as well, there
would be two sentences for one mistake, and one mistake would stop all datasets.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler, RootModel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def attributes_like(model: type[BaseModel]) -> type[BaseModel]:
    """A model that accepts any mapping and is documented as `model`."""

    class Attributes(RootModel[dict[Any, Any]]):
        @classmethod
        def __get_pydantic_json_schema__(
            cls, schema: CoreSchema, handler: GetJsonSchemaHandler
        ) -> JsonSchemaValue:
            """That of `model`."""
            return handler(model.__pydantic_core_schema__)

    Attributes.__name__ = Attributes.__qualname__ = model.__name__
    Attributes.__doc__ = model.__doc__
    return Attributes
