"""The text of `defs.yaml` and `schema.py` of a new dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from exporter_pipelines.contracts.table_profile import Kind
from exporter_pipelines.errors import listed, printable
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.new_datasets.naming import class_name
from exporter_pipelines.new_datasets.plan import Plan, PlannedColumn
from exporter_pipelines.new_datasets.proposed_rules import addresses_rule, values_rule

_DEFS = """\
# Where {name} comes from and how it is exported. Every setting: docs/datasets.md
type: exporter_pipelines.components.DatasetExport

attributes:
  name: {quoted_name}
  description: {description}
  schema: exporter_pipelines.defs.{name}.schema.{model}

{source}

  validation: strict              # or basic: required fields and types only
  format: jsonl                   # or {formats}
  compression: gzip               # none, gzip or zstd
  max_rejected_pct: 1.0           # a day is held only above BOTH limits
  max_rejected_rows: 10
  schedule: "30 2 * * *"          # in EXPORTER_TIMEZONE; off until switched on
"""
_SCHEMA = '''\
"""What a row of {table} is. Types, nulls, JSON and rules: docs/schema.md.

{written}{unseen}
"""

from __future__ import annotations

from typing import Annotated

import pandera.pandas as pandera
import pyarrow as pa


class {model}(pandera.DataFrameModel):
    """One row of {table}."""

{columns}
{rules}'''
_TYPES: dict[Kind, str] = {
    "int64": "pa.int64", "float64": "pa.float64", "bool": "pa.bool_", "string": "pa.string",
    "json": "pa.string", "timestamp": 'Annotated[pa.timestamp, "us", "UTC"]',
}  # fmt: skip
_WIDTH = 100


def defs_yaml(plan: Plan) -> str:
    """The `defs.yaml` of a new dataset."""
    return _DEFS.format(
        name=plan.name,
        quoted_name=_scalar(plan.name),
        description=_scalar(_description(plan)),
        model=class_name(plan.name),
        source=source_block(plan),
        formats=", ".join(name for name in FORMATS if name != "jsonl"),
    )


def source_block(plan: Plan) -> str:
    """`source:` with its settings, indented for a `defs.yaml`."""
    others = f"; there are also {listed(plan.other_times)}" if plan.other_times else ""
    columns = {c.name: c.source for c in plan.columns if c.name != c.source}
    time = plan.exported(plan.time.column)
    lines = [
        (f"url: {plan.variable}", "the NAME of an environment variable, never a URL"),
        *_origin(plan),
        (f"key: {_scalar(plan.key_name)}", plan.key.why),
        (f"time_column: {_scalar(time)}", f"decides the day of a row{others}"),
        (f"timezone: {plan.zone.name}", plan.zone.why),
    ]
    if plan.time.kind == "number":
        lines.append((f"encodings: {_flow({time: plan.time.encoding})}", "a guess by their size"))
    text = [_commented(text, comment) for text, comment in lines]
    return "\n".join(["  source:", *text, *_mapping(columns)])


def name_block(plan: Plan) -> str:
    """`name:` for a `defs.yaml`."""
    return f"  name: {_scalar(plan.name)}"


def description_block(plan: Plan) -> str:
    """`description:` for a `defs.yaml`."""
    return f"  description: {_scalar(_description(plan))}"


def nullable_block(plan: Plan) -> str:
    """`nullable:` for a `defs.yaml`, which the schema would reject rows without."""
    return f"  nullable: [{', '.join(map(_scalar, plan.with_nulls))}]"


def schema_py(plan: Plan) -> str:
    """The `schema.py` of a new dataset."""
    columns = "\n".join(line for column in plan.columns for line in _column(column, plan))
    unseen = ""
    if plan.unseen:
        unseen = "\n\n" + _wrapped(
            "Values are not listed where they may be personal data: " + listed(plan.unseen) + "."
        )
    return _SCHEMA.format(
        table=_in_docstring(plan.relation.name),
        written=_wrapped(f"Written by `exporter init`. {_basis(plan)}"),
        unseen=_in_docstring(unseen, keep_lines=True),
        model=class_name(plan.name),
        columns=columns,
        rules=addresses_rule(plan.addresses),
    )


def _basis(plan: Plan) -> str:
    """The rows that the comments are about."""
    if any(column.has_sampled_values for column in plan.columns):
        return f"Types and nulls in comments are those of {plan.basis}, values those of a sample."
    return f"Types, nulls and values in comments are those of {plan.basis}."


def _description(plan: Plan) -> str:
    table, time = printable(plan.relation.name), printable(plan.time.column)
    return f"Rows of {table}, one partition per day of `{time}`."


def _origin(plan: Plan) -> list[tuple[str, str]]:
    if not plan.query:
        return [(f"table: {_scalar(plan.relation.name)}", "")]
    return [(f"query: {_scalar(plan.query)}", "")]


def _mapping(columns: dict[str, str]) -> list[str]:
    comment = "exported name: name in the table"
    if len(columns) < 3:
        return [_commented(f"columns: {_flow(columns)}", comment)]
    entries = (f"      {_scalar(name)}: {_scalar(source)}" for name, source in columns.items())
    return [_commented("columns:", comment), *entries]


def _column(column: PlannedColumn, plan: Plan) -> list[str]:
    remarks = [*column.remarks]
    if column.source != column.name and column.source in plan.relation.types:
        remarks[0] = f"{printable(column.source)}: {remarks[0]}"
    comments = [
        line
        for remark in remarks
        for line in textwrap.wrap(
            remark, _WIDTH, initial_indent="    # ", subsequent_indent="    # "
        )
    ]
    given = []
    if column.nullable:
        given.append("nullable=True")
    if column.kind == "json":
        given.append('metadata={"json": True}')
    lines = [*comments, f"    {_declared(column, given)}"]
    if column.values:
        with_rule = _declared(column, [*given, values_rule(column.values)])
        but = "; others may exist: only a sample was read" if column.has_sampled_values else ""
        lines.append(f"    # {with_rule}  # allows no other value{but}")
    return lines


def _declared(column: PlannedColumn, given: Sequence[str]) -> str:
    field = f" = pandera.Field({', '.join(given)})" if given else ""
    return f"{column.name}: {_TYPES[column.kind]}{field}"


def _commented(text: str, comment: str) -> str:
    line = "\n".join(f"    {part}" for part in text.split("\n"))
    return f"{line:<33} # {comment}" if comment else line


def _scalar(text: str) -> str:
    """Text as a YAML value on one line."""
    return _dumped(text, text.isprintable()).removesuffix("...").strip()


def _flow(mapping: Mapping[str, str]) -> str:
    """A mapping as YAML on one line."""
    return _dumped(dict(mapping), all(text.isprintable() for text in mapping.values()))


def _dumped(value: Any, is_plain: bool) -> str:
    # In double quotes, YAML escapes line breaks and what a terminal must not receive.
    dumped = yaml.safe_dump(
        value, default_flow_style=True, default_style=None if is_plain else '"', sort_keys=False,
        width=10**6, allow_unicode=is_plain,
    )  # fmt: skip
    return str(dumped).strip()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _in_docstring(text: str, *, keep_lines: bool = False) -> str:
    """Text that cannot end a docstring or begin an escape."""
    shown = text if keep_lines else printable(text)
    return shown.replace("\\", "\\\\").replace('"', "'")
