"""Writes the parts of the documentation that follow from code: `make docs`.

A page has a table between `<!-- table: NAME -->` and `<!-- end -->`. NAME is a model whose fields
it lists, `endpoints` for the endpoints of the service, or `fields_NAME` for a model of the API.
docs/manifest.schema.json is the JSON Schema of the manifest. A test fails when one of them
differs from the code.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from exporter_pipelines.contracts import (
    changes,
    dataset,
    erasure,
    late_data,
    ledger,
    manifest,
    privacy,
    refinements,
    retention,
    source_config,
    training_set,
)
from exporter_pipelines.service import export_models
from exporter_pipelines.service.api_page.page import kind_of
from exporter_pipelines.service.openapi import openapi_document
from exporter_pipelines.service.routes import ROUTERS
from exporter_pipelines.transforms.level_aliases import LevelAliases

DOCS = Path(__file__).parent
MODELS: dict[str, type[BaseModel]] = {
    "DatasetConfig": dataset.DatasetConfig,
    "SourceConfig": source_config.SourceConfig,
    "TransformConfig": refinements.TransformConfig,
    "RuleConfig": refinements.RuleConfig,
    "FilterConfig": refinements.FilterConfig,
    "LateDataConfig": late_data.LateDataConfig,
    "PrivacyConfig": privacy.PrivacyConfig,
    "ColumnPolicy": privacy.ColumnPolicy,
    "RetentionConfig": retention.RetentionConfig,
    "TrainingSetConfig": training_set.TrainingSetConfig,
    "Days": training_set.Days,
    "LabelSource": training_set.LabelSource,
    "Condition": training_set.Condition,
    "Dedup": training_set.Dedup,
    "Sample": training_set.Sample,
    "Windows": training_set.Windows,
    "SplitSettings": training_set.SplitSettings,
    "Removed": retention.Removed,
    "Entry": ledger.Entry,
    "Erasure": erasure.Erasure,
    "Change": changes.Change,
    "level_aliases": LevelAliases.Params,
    **{
        name: getattr(manifest, name)
        for name in (
            "Manifest", "Window", "DataFile", "Counts", "Quarantine", "Validation", "RuleResult",
            "Transformation", "ColumnSchema", "Source", "Run", "Privacy", "LeakCheck",
        )
    },
}  # fmt: skip
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """The text of a page with its tables generated again."""
    return _MARKED.sub(lambda match: match[1] + _table_named(match[2]) + match[3], page)


def _table_named(name: str) -> str:
    if name == "endpoints":
        return _endpoints()
    if name.startswith("fields_"):
        return _fields(getattr(export_models, name.removeprefix("fields_")))
    return _table(MODELS[name])


def manifest_schema() -> str:
    """The JSON Schema of `_manifest.json`."""
    schema = manifest.Manifest.model_json_schema(by_alias=True, mode="serialization")
    dialect = {"$schema": GenerateJsonSchema.schema_dialect}
    return json.dumps(dialect | schema, indent=2) + "\n"


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


def _endpoints() -> str:
    """Method, path, role and purpose of every endpoint in the OpenAPI document."""
    api = FastAPI()
    for router in ROUTERS:
        api.include_router(router)
    rows = ["| method and path | role | what it does |", "|---|---|---|"]
    for path, operations in openapi_document(api)["paths"].items():
        for method, operation in operations.items():
            text = " ".join(operation.get("description", operation["summary"]).split())
            role = f"`{operation['x-role']}`" if operation["x-role"] else "none"
            rows.append(f"| `{method.upper()} {path}` | {role} | {text.split('. ')[0]} |")
    return "\n".join(rows) + "\n"


def _fields(model: type[BaseModel]) -> str:
    """Name, type and meaning of the fields of a model of the API."""
    rows = ["| field | type | meaning |", "|---|---|---|"]
    properties = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        kind = kind_of(properties[name])
        rows.append(f"| `{name}` | {kind} | {' '.join((info.description or '').split())} |")
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
    if isinstance(default, dt.timedelta):
        return f"`{_duration(default)}`"
    if isinstance(default, BaseModel):
        default = default.model_dump()
    return f"`{json.dumps(default, default=_duration)}`"


def _duration(value: dt.timedelta) -> str:
    """As `defs.yaml` has it; all defaults are whole hours."""
    return f"{value.total_seconds() / 3600:g}h"


def main() -> None:
    """Write every page and the schema."""
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(rendered(page.read_text()))
    (DOCS / "manifest.schema.json").write_text(manifest_schema())


if __name__ == "__main__":
    main()
