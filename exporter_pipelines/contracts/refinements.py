"""What a `defs.yaml` may add to a schema: rules, filters, transforms and thresholds.

Belongs here: the fields a user may write, and the checks that need no schema.
Does not belong here: importing functions (`user_functions`), or applying anything to rows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from exporter_pipelines.contracts.strict import Strict

# Becomes part of the name of a metric, as in failed.<rule> and filtered.<filter>.
PartName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
DottedPath = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]

Threshold = Literal["warn", "hold", "ignore"]
Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "is_null", "not_null", "contains",
    "starts_with",
]  # fmt: skip


class RuleConfig(Strict):
    """A rule in addition to those of the schema: a Python function, or an SQL expression."""

    name: PartName = Field(description="Name in checks, metrics, quarantine and manifest.")
    function: DottedPath | None = Field(
        None,
        description="Dotted path of a function. It receives a frame of rows, or the Series of "
        "`columns`, and returns a boolean Series.",
    )
    columns: tuple[str, ...] = Field(
        (), description="Exported columns to pass to the function, one argument each."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments of the function, by name."
    )
    sql: str | None = Field(
        None,
        min_length=1,
        description="Instead of a function: a boolean SQL expression over the table's columns. The "
        "database evaluates it as written for every row of the day. Null counts as passed.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> RuleConfig:
        if (self.function is None) == (self.sql is None):
            raise ValueError(f"rule {self.name!r} needs either `function` or `sql`")
        if self.sql is not None and (self.columns or self.params):
            raise ValueError(f"rule {self.name!r}: `sql` takes neither `columns` nor `params`")
        return self


class FilterConfig(Strict):
    """A condition on one column; rows for which it is not true are left out."""

    name: PartName = Field(description="Name under which the rows left out are counted.")
    column: str = Field(description="Exported column.")
    op: Operator = Field(
        description="`eq`, `ne`, `lt`, `le`, `gt`, `ge`, `in`, `not_in`, `is_null`, `not_null`, "
        "`contains` or `starts_with`."
    )
    value: Any = Field(
        None,
        description="Value of the column's type; a list for `in` and `not_in`; none for `is_null` "
        "and `not_null`.",
    )


class TransformConfig(Strict):
    """A transform that is applied to each batch before validation."""

    name: PartName | None = Field(
        None,
        description="Name of a built-in transform. With `function`: the name under which its "
        "changes are counted, by default the name of the function.",
    )
    function: DottedPath | None = Field(
        None,
        description="Dotted path of a function that receives (batch, params) and returns a batch.",
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")

    @model_validator(mode="after")
    def _named(self) -> TransformConfig:
        if self.name is None and self.function is None:
            raise ValueError("a transform needs `name` or `function`")
        return self

    @property
    def title(self) -> str:
        """The name under which its changes are counted."""
        return self.name or str(self.function).rpartition(".")[2]
