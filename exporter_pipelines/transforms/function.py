"""A user-defined transform: a function named in `defs.yaml`."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.manifest import Transformation
from exporter_pipelines.contracts.refinements import TransformConfig
from exporter_pipelines.contracts.user_functions import user_function
from exporter_pipelines.errors import TransformCrashedError


class FunctionTransform:
    """Calls `function(batch, params)`, checks the result, and counts the changed values.

    The function may have an attribute `version` (default 1), to be increased when its result
    changes.

    Raises:
        ConfigurationError: the function cannot be used.
    """

    def __init__(self, config: TransformConfig) -> None:
        path = str(config.function)
        self._name, self._params = config.title, config.params
        self._function = user_function(f"transform {self._name!r}", path, ("batch", "params"))
        self._version = int(getattr(self._function, "version", 1))

    @property
    def applied(self) -> Transformation:
        """For the manifest."""
        return Transformation(name=self._name, version=self._version, params=self._params)

    def __call__(self, batch: pa.RecordBatch, changed: Counter[str]) -> pa.RecordBatch:
        """The batch that the function returns; the number of changed values goes to `changed`.

        Raises:
            TransformCrashedError: it raised, or returned other rows, columns or types.
        """
        try:
            # A copy, so that the manifest gets the parameters as in defs.yaml.
            after = self._function(batch, dict(self._params))
        except Exception as error:
            raise TransformCrashedError(
                f"The transform {self._name!r} raised {type(error).__name__}.",
                "Its text is not shown, since it may quote a row. Call the function on the rows of "
                "one day to see it.",
            ) from error
        self._refuse(_difference(batch, after))
        changed[self._name] += sum(
            _differing(one, other) for one, other in zip(batch.columns, after.columns, strict=True)
        )
        return pa.RecordBatch.from_arrays(after.columns, schema=batch.schema)

    def _refuse(self, difference: str) -> None:
        if difference:
            raise TransformCrashedError(
                f"The transform {self._name!r} returned {difference}.",
                "Return a pyarrow.RecordBatch with the same rows, columns and types; a filter "
                "leaves rows out.",
            )


def _difference(before: pa.RecordBatch, after: object) -> str:
    """What is wrong with a result; empty for nothing."""
    if not isinstance(after, pa.RecordBatch):
        return f"a {type(after).__name__}"
    if after.schema.names != before.schema.names:
        return f"the columns {', '.join(after.schema.names)}"
    for one, other in zip(before.schema, after.schema, strict=True):
        if one.type != other.type:
            return f"{one.name} as {other.type} instead of {one.type}"
    if after.num_rows != before.num_rows:
        return f"{after.num_rows} rows for {before.num_rows}"
    return ""


def _differing(before: pa.Array, after: pa.Array) -> int:
    """Values that are not the same; null equals null, and NaN equals NaN."""
    if before is after or before.equals(after):
        return 0
    same = pc.equal(before, after).fill_null(False)
    both = pc.and_(before.is_null(), after.is_null())
    if pa.types.is_floating(before.type):
        nan = pc.and_(pc.is_nan(before), pc.is_nan(after)).fill_null(False)
        both = pc.or_(both, nan)
    return int(len(before) - pc.sum(pc.or_(same, both)).as_py())
