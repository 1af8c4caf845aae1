"""Renders an OpenAPI document as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from exporter_pipelines.service.openapi import ROLE

_FOLDER = Path(__file__).parent
STYLE = (_FOLDER / "style.css").read_bytes()
_FIRST = ("exports", "datasets", "files")
# Code in backticks is all that descriptions have; everything else is escaped.
_MARKDOWN = MarkdownIt("zero").enable("backticks")


class Field(NamedTuple):
    """A field of a body, or a parameter."""

    name: str
    kind: str
    required: bool
    description: str


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    role: str | None
    text: str
    parameters: list[Field]
    body: list[Field]
    responses: list[tuple[str, str, list[Field]]]


def render(document: dict[str, Any], *, prefix: str) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["text"] = lambda text: Markup(_MARKDOWN.renderInline(text))  # noqa: S704
    groups: dict[str, list[Operation]] = {name: [] for name in _FIRST}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_operation(document, method, path, operation))
    return environment.get_template("page.html").render(
        info=document["info"],
        groups=groups,
        types=dict(_types(document)),
        prefix=prefix,
    )


def _types(document: dict[str, Any]) -> Iterator[tuple[str, list[Field]]]:
    """The objects that fields are made of, by name."""
    for name, schema in sorted(document["components"]["schemas"].items()):
        if fields := list(_fields(document, schema)):
            yield name, fields


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Operation:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return Operation(
        method.upper(),
        path,
        operation[ROLE],
        operation.get("description", operation["summary"]),
        [
            Field(
                f"{each['name']} ({each['in']})",
                kind_of(each["schema"]),
                each.get("required", False),
                each.get("description", ""),
            )
            for each in operation.get("parameters", ())
        ],
        list(_fields(document, body.get("schema", {}))),
        [
            (status, answer["description"], list(_fields(document, _schema(answer))))
            for status, answer in operation["responses"].items()
            if status != "default"
        ],
    )


def _schema(answer: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[Field]:
    """The fields of an object, of a nullable one, or of the items of a list."""
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    found = options[0] if options else {}
    found = found.get("items", found)
    if reference := found.get("$ref"):
        found = document["components"]["schemas"][reference.rpartition("/")[2]]
    for name, each in found.get("properties", {}).items():
        required = name in found.get("required", ())
        yield Field(name, kind_of(each), required, each.get("description", ""))


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a value, in a few words."""
    if options := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(map(kind_of, options)))
    if reference := schema.get("$ref"):
        return str(reference.rpartition("/")[2])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return " or ".join(str(value) for value in values)
    kind = str(schema.get("format", schema.get("type", "any")))
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{kind} {low} to {high}" if low is not None and high is not None else kind
