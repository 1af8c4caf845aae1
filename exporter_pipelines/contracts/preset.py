"""A preset: a variant of a dataset that overrides some of its export settings.

Belongs here: which settings a preset may override, and how they are merged with the dataset's.
Does not belong here: finding the other dataset (`catalog`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from exporter_pipelines.contracts.dataset_config import DatasetConfig
from exporter_pipelines.contracts.dataset_name import DatasetName
from exporter_pipelines.contracts.strict import Strict

# Not `source` and not `schema`: with those changed it would be another dataset.
OVERRIDES = (
    "description", "transforms", "filters", "validation", "thresholds", "defaults", "nullable",
    "extra_columns", "unreadable_json", "privacy", "select", "format", "compression",
    "max_file_records", "max_rejected_pct", "max_rejected_rows", "max_value_bytes", "schedule",
    "late_data", "retention", "slices",
)  # fmt: skip


class Preset(Strict):
    """The fields of every preset; `PresetConfig` adds the settings that it may override."""

    name: DatasetName = Field(description="Asset key and folder name of the preset.")
    like: DatasetName = Field(description="The dataset that the preset is based on.")

    def merged_with(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes of a dataset, overridden by those of this preset.

        Mappings (`thresholds`, `defaults`, `privacy`) are merged, everything else is replaced, and
        so is what a policy says about one column. The dataset's
        schedule is not inherited: a preset runs on request, or on the schedule in its own
        `defs.yaml`.
        """
        own = self.model_dump(exclude_unset=True, exclude={"like"})
        merged = _merged({**attributes, "schedule": None}, own)
        if columns := (own.get("privacy") or {}).get("columns"):
            merged["privacy"] = _with_columns(merged["privacy"], columns)
        return merged


# The same types, bounds and descriptions. A setting that is left out is inherited.
_FIELDS: dict[str, Any] = {
    name: (DatasetConfig.model_fields[name].annotation, DatasetConfig.model_fields[name])
    for name in OVERRIDES
}
PresetConfig: type[Preset] = create_model(
    "PresetConfig",
    __base__=Preset,
    __doc__="The attributes of a preset's `defs.yaml`.",
    **_FIELDS,
)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _with_columns(policy: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """A merged policy in which the preset decides about these columns alone."""
    keep = [name for name in policy.get("keep", ()) if name not in columns]
    return {**policy, "columns": {**policy["columns"], **columns}, "keep": keep}
