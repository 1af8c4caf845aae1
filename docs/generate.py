"""Writes the parts of the documentation that follow from code: `make docs`.

Between `<!-- table: NAME -->` and `<!-- end -->` of a page stands a table of the fields of a
model; docs/manifest.schema.json is the JSON Schema of the manifest. A test fails when either is
not what the code says.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter_pipelines.contracts import (
    dataset,
    late_data,
    ledger,
    manifest,
    refinements,
    retention,
    source_config,
)
from exporter_pipelines.transforms.level_aliases import LevelAliases

DOCS = Path(__file__).parent
MODELS: dict[str, type[BaseModel]] = {
    "DatasetConfig": dataset.DatasetConfig,
    "SourceConfig": source_config.SourceConfig,
    "TransformConfig": refinements.TransformConfig,
    "RuleConfig": refinements.RuleConfig,
    "FilterConfig": refinements.FilterConfig,
    "LateDataConfig": late_data.LateDataConfig,
    "RetentionConfig": retention.RetentionConfig,
    "Removed": retention.Removed,
    "Entry": ledger.Entry,
    "level_aliases": LevelAliases.Params,
    **{
        name: getattr(manifest, name)
        for name in (
            "Manifest", "Window", "DataFile", "Counts", "Quarantine", "Validation", "RuleResult",
            "Transformation", "ColumnSchema", "Source", "Run",
        )
    },
}  # fmt: skip
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """The text of a page with its tables made anew."""
    return _MARKED.sub(lambda match: match[1] + _table(MODELS[match[2]]) + match[3], page)


def manifest_schema() -> str:
    """The JSON Schema of `_manifest.json`."""
    schema = manifest.Manifest.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps(schema, indent=2) + "\n"


def _table(model: type[BaseModel]) -> str:
    examples = any(info.examples for info in model.model_fields.values())
    head = "example" if examples else "default"
    rows = [f"| field | {head} | meaning |", "|---|---|---|"]
    for name, info in model.model_fields.items():
        if not info.description:
            continue  # only read, from manifests of an earlier version
        value = _example(info) if examples else _default(info)
        rows.append(f"| `{info.alias or name}` | {value} | {info.description} |")
    return "\n".join(rows) + "\n"


def _example(info: FieldInfo) -> str:
    example = (info.examples or [None])[0]
    return "" if example in ({}, [{}]) else f"`{json.dumps(example)}`"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory in (ledger.now, ledger.new_id):
        return "generated"
    default = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        default = default.model_dump(mode="json")
    return f"`{json.dumps(default)}`"


def main() -> None:
    """Write every page and the schema."""
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(rendered(page.read_text()))
    (DOCS / "manifest.schema.json").write_text(manifest_schema())


if __name__ == "__main__":
    main()
