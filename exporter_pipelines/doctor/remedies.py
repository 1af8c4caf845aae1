"""Proposes settings with which the days of a dataset are published, as YAML to paste."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import yaml

from exporter_pipelines.contracts.column_settings import check_default
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.row_schema import Column
from exporter_pipelines.contracts.source_rules import SOURCE_RULES
from exporter_pipelines.engine.held_causes import Reason
from exporter_pipelines.engine.unreadable_json import RULE as JSON_RULE
from exporter_pipelines.errors import ConfigurationError, printable
from exporter_pipelines.transforms.level_aliases import LEVELS, LevelAliases

_LEVEL = "INFO"
_TEXT = "unknown"


def remedy_for(dataset: Dataset, reasons: Iterable[Reason]) -> str:
    """A sentence and a block for these reasons; the block repeats what the settings have already.

    A missing text gets a default. Another missing value would be invented, so it may be null. An
    unknown level gets the default level. A document that readers refuse is exported as text. Rows
    that break another rule are rejected as before, but hold no day.
    """
    settings = _settings(dataset)
    notes: dict[str, str] = {}
    before = yaml.safe_dump(settings)
    changed = set()
    for rule, column in reasons:
        changed.add(_change(dataset, rule, column, settings, notes))
    if yaml.safe_dump(settings) == before:
        return ""
    lines = [
        _line(name, settings[name], notes.get(name, "")) for name in settings if name in changed
    ]
    block = textwrap.indent("".join(lines).rstrip(), "  ")
    return (
        "If this is right for your data, put it below `attributes:` in its defs.yaml, in place of "
        f"the same settings there:\n{block}"
    )


def other_values(dataset: Dataset, reason: Reason) -> str:
    """What to do about a rule that nearly all rows break; empty if a setting helps.

    With `warn`, these rows would be rejected on every day, and no day would be held for it.
    """
    rule, column = reason
    if _change(dataset, rule, column, _settings(dataset), {}) != "thresholds":
        return ""
    subject = f"{printable(column)} does not have" if column else "these rows do not have"
    advice = "Map another column in `columns:`"
    if rule not in ("required", *SOURCE_RULES):
        advice += (
            ", change the rule in the schema, or leave the rule out, which exports the rows: "
            f"`thresholds: {{{rule}: ignore}}`"
        )
    return f"Nearly all rows break it, so {subject} the values that it is about. {advice}."


def _settings(dataset: Dataset) -> dict[str, Any]:
    """What a remedy may change, as it is."""
    config = dataset.config
    return {
        "transforms": [t.model_dump(exclude_defaults=True) for t in config.transforms],
        "defaults": dict(config.defaults),
        "nullable": list(config.nullable),
        "thresholds": dict(config.thresholds),
        "unreadable_json": config.unreadable_json,
    }


def _change(
    dataset: Dataset, rule: str, name: str | None, settings: dict[str, Any], notes: dict[str, str]
) -> str:
    """Change `settings` so that the rule rejects no row, or holds no day; the changed setting."""
    column = dataset.schema[name] if name in dataset.schema.names else None
    if rule == "required" and column is not None:
        if _takes_default(dataset, column):
            settings["defaults"][column.name] = _default_of(column)
            notes["defaults"] = f"or nullable: [{', '.join(settings['defaults'])}]"
            return "defaults"
        settings["nullable"].append(column.name)
        return "nullable"
    if column is not None and _is_level(column) and _set_default(column, settings["transforms"]):
        return "transforms"
    if rule == JSON_RULE and settings["unreadable_json"] == "reject":
        settings["unreadable_json"] = "text"
        return "unreadable_json"
    settings["thresholds"][rule] = "warn"
    tolerated = [each for each, value in settings["thresholds"].items() if value == "warn"]
    note = f"rows that break {' or '.join(tolerated)} are still rejected, but hold no day"
    if not {"required", *SOURCE_RULES}.intersection(tolerated):
        note += "; ignore instead of warn exports them"
    notes["thresholds"] = note
    return "thresholds"


def _takes_default(dataset: Dataset, column: Column) -> bool:
    """Whether a text can stand for a missing value of the column."""
    config, name = dataset.config, column.name
    if not pa.types.is_string(column.type) or column.is_json:
        return False
    try:
        check_default(name, _default_of(column), config.source, config.judging(dataset.schema))
    except ConfigurationError:
        return False
    return True


def _default_of(column: Column) -> str:
    if not column.values:
        return _TEXT
    return _LEVEL if _LEVEL in column.values else column.values[0]


def _is_level(column: Column) -> bool:
    return bool(column.values) and set(column.values) <= set(LEVELS)


def _set_default(column: Column, transforms: list[dict[str, Any]]) -> bool:
    """Give the level aliases of a column a default; False if they have one already."""
    for transform in transforms:
        params = transform.get("params", {})
        if (transform.get("name"), params.get("column", "level")) != (
            LevelAliases.name, column.name,
        ):  # fmt: skip
            continue
        if "default" in params:
            return False
        transform["params"] = {**params, "default": _default_of(column)}
        return True
    params = {"column": column.name, "default": _default_of(column)}
    transforms.append({"name": LevelAliases.name, "params": params})
    return True


def _line(name: str, value: Any, note: str) -> str:
    if isinstance(value, str):
        return f"{name}: {value}\n"
    text: str = yaml.safe_dump({name: value}, default_flow_style=None, sort_keys=False, width=1000)
    first, newline, rest = text.partition("\n")
    return f"{first}{f'   # {note}' if note else ''}{newline}{rest}"
