"""The files next to `data/` that describe a dataset, so that other tools load it correctly.

    README.md       dataset card: what it is, its columns, how to load it; Hugging Face's header
    schema.json     JSON Schema of a row
    croissant.json  the same for loaders of Croissant; not for the format json
    schema.arrow    Arrow schema of a row (JSON columns are text), `pyarrow.ipc.read_schema`

A column that is null on the first day and an object on the second breaks three of five readers
when they infer the schema, and none when they are given it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import yaml

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import MANIFEST_NAME
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.engine.croissant import Field, croissant
from exporter_pipelines.engine.other_formats import NO_FILES, OtherDays
from exporter_pipelines.engine.whole_dataset import SCHEMA_FILE
from exporter_pipelines.formats import format_named, suffix_of
from exporter_pipelines.formats.contract import Export, Format

_JSON_TYPES = {
    "int64": {"type": "integer"},
    "double": {"type": "number"},
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "timestamp[us, tz=UTC]": {"type": "string", "format": "date-time"},
}
# Names of https://huggingface.co/docs/datasets/about_dataset_features
_FEATURES = {"double": "float64"}


def dataset_files(
    dataset: Dataset,
    schema: RowSchema,
    others: Sequence[OtherDays] = (),
    *,
    has_files: bool = True,
    bucket: str = "",
    has_view: bool = True,
) -> dict[str, bytes]:
    """Name -> content.

    Args:
        dataset: The dataset to describe.
        schema: Of all its published days, see `engine.whole_dataset`.
        others: Days whose files the loading code of the card does not read.
        has_files: Whether there is a file that the loading code reads.
        bucket: URL of the output if it is in a bucket.
        has_view: Whether a glob finds the files of published days.
    """
    return {
        "README.md": _card(
            dataset, schema, others, has_files=has_files, bucket=bucket, has_view=has_view
        ).encode(),
        **_croissant(dataset, schema),
        "schema.json": (json.dumps(_json_schema(dataset, schema), indent=2) + "\n").encode(),
        SCHEMA_FILE: schema.arrow.serialize().to_pybytes(),
    }


def _croissant(dataset: Dataset, schema: RowSchema) -> dict[str, bytes]:
    """`croissant.json`, if readers of it know the format. The hashes are in the manifests."""
    encoding = format_named(dataset.config.format).croissant
    if not encoding:
        return {}
    fields = [
        Field(column.name, "json" if column.is_json else str(column.type), column.description)
        for column in schema.columns
    ]
    document = croissant(
        dataset.name, dataset.config.description, "1.0.0", fields, [loaded_files(dataset)], encoding
    )
    return {"croissant.json": document}


_PRIVATE = (
    "Personal data is replaced by pseudonyms; `privacy` in each manifest says in which columns. "
    "Pseudonymised data is still personal data.\n"
)


def loaded_files(dataset: Dataset) -> str:
    """The pattern of the files that the loading code reads, in the dataset's folder."""
    suffix = suffix_of(dataset.config.format, dataset.config.compression)
    # `*.json` would find the manifests as well.
    start = f"{dataset.name}-" if MANIFEST_NAME.endswith(suffix) else ""
    return f"data/*/{start}*{suffix}"


def _card(
    dataset: Dataset,
    schema: RowSchema,
    others: Sequence[OtherDays],
    *,
    has_files: bool,
    bucket: str,
    has_view: bool,
) -> str:
    config = dataset.config
    format_, name = format_named(config.format), dataset.name
    files = loaded_files(dataset)
    header = _hugging_face(schema.columns, format_, files)
    columns = [_row(column) for column in schema.columns]
    export = Export(name, schema, config.compression, f"{name}/{files}", bucket)
    return "\n".join(
        [
            f"---\n{header}---\n",
            f"# {dataset.name}\n",
            f"{config.description}\n" if config.description else "",
            "One folder per day below `data/`, each with a `_manifest.json` that counts and hashes "
            "its files; a day without rows has a manifest and no file.\n",
            *([_PRIVATE] if config.privacy else []),
            "| column | type | null | meaning |",
            "|---|---|---|---|",
            *columns,
            "\n## Loading\n",
            *(
                _nothing_to_load(name)
                if not has_files
                else _loading(format_, export)
                if has_view
                else _without_view(name)
            ),
            *(_other_formats(name, files, others) if others else ()),
        ]
    )


def _loading(format_: type[Format], export: Export) -> Iterator[str]:
    if export.bucket:
        yield (
            "Credentials come from the environment, such as AWS_ACCESS_KEY_ID; for a server other "
            "than the cloud's own, set AWS_ENDPOINT_URL. Each reader gives these columns.\n"
        )
    else:
        yield (
            f"Run the code in the folder that contains `{export.name}`. "
            "Each reader gives these columns.\n"
        )
    for reader, lines in format_.loading_code(export).items():
        yield f"With {reader}:\n\n```python\n{lines}\n```\n"


def _without_view(name: str) -> Iterator[str]:
    yield (
        "The files of a day have names that only its manifest knows, so no pattern finds them. "
        f'`exporter_pipelines.api.open_days("{name}", first, last)` loads days from the bucket.\n'
    )


def _nothing_to_load(name: str) -> Iterator[str]:
    yield f"{NO_FILES} The code for each reader is added with the first rows.\n"
    yield (
        "An empty table with the columns: "
        f'`pyarrow.ipc.read_schema(pyarrow.OSFile("{name}/{SCHEMA_FILE}")).empty_table()`.\n'
    )


def _other_formats(name: str, files: str, others: Sequence[OtherDays]) -> Iterator[str]:
    yield "## Days in another format\n"
    yield (
        f"The code above reads `{files}`. These days were exported with another format or "
        "compression, and it does not read them:\n"
    )
    yield from (days.line() for days in others)
    yield (
        f'\n`exporter_pipelines.api.open_days("{name}", first, last)` reads days of every format. '
        "Or export these days again.\n"
    )


@lru_cache(maxsize=8)  # 1.6 ms, needed again for each day of a range
def _hugging_face(columns: tuple[Column, ...], format_: type[Format], files: str) -> str:
    """The header that Hugging Face's `datasets` reads, as YAML."""
    features = [{"name": c.name, "dtype": _feature(c, format_)} for c in columns]
    config = {
        "config_name": "default",
        "data_files": [{"split": "train", "path": files}],
    }
    header = {
        "configs": [config],
        "dataset_info": [{"config_name": "default", "features": features}],
    }
    text: str = yaml.safe_dump(header, sort_keys=False)
    return text


def _feature(column: Column, format_: type[Format]) -> str:
    if column.is_json:
        return "json" if format_.holds_json else "string"
    return _FEATURES.get(str(column.type), str(column.type))


def _json_schema(dataset: Dataset, schema: RowSchema) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": dataset.name,
        "description": dataset.config.description,
        "type": "object",
        "properties": {c.name: _property(c) for c in schema.columns},
        "required": [column.name for column in schema.columns if column.extra is None],
        "additionalProperties": False,
    }


def _property(column: Column) -> dict[str, Any]:
    described = {"description": column.description} if column.description else {}
    if column.is_json:
        return described  # any JSON value, null included
    shape: dict[str, Any] = dict(_JSON_TYPES[str(column.type)])
    if column.nullable or str(column.type) == "double":  # NaN and infinity become null
        shape["type"] = [shape["type"], "null"]
    return {**shape, **described}


def _row(column: Column) -> str:
    type_ = "json" if column.is_json else str(column.type)
    nulls = "yes" if column.nullable else "no"
    return f"| {_code(column.name)} | {type_} | {nulls} | {_cell(column.description)} |"


def _code(name: str) -> str:
    """A name as code in a Markdown table; what cannot be printed is escaped as in Python."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if "`" in shown else ""
    return _cell(f"{fence}{space}{shown}{space}{fence}")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").splitlines())
