"""A `defs.yaml` as documents that know the line of each setting.

Belongs here: reading the text, refusing what is not YAML or says a thing twice, finding lines.
Does not belong here: what the settings mean (`checks`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines.defs_files.sentences import mistake_at
from exporter_pipelines.errors import ConfigurationError

_MOST_BYTES = 1_000_000
_MOST_VALUES = 20_000
"""A file with more is a mistake, or an alias bomb: a few lines that expand to gigabytes."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types
    """Leaves times as text, as Dagster does; a filter over a time column reads them itself."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, eq=False)
class Document:
    """One document of a `defs.yaml`; `---` separates several.

    Attributes:
        file: The file.
        number: Of the document, from 0.
        value: What it says.
        node: The same as YAML nodes, which know their lines.
    """

    file: Path
    number: int
    value: Any
    node: yaml.Node

    def place(self, *at: str | int) -> str:
        """`<file>:<line>` of a setting, or of the innermost part of its path that the file has."""
        node, line = self.node, self.node.start_mark.line + 1
        for part in at:
            inner = _inner(node, part)
            if inner is None:
                break
            line, node = inner[0].start_mark.line + 1, inner[1]
        return f"{self.file}:{line}"


def read_documents(file: Path) -> tuple[Document, ...]:
    """The documents of a file; read again only when the file has changed.

    Raises:
        ConfigurationError: the file is not a YAML file that can be used; begins with its place.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from None
    return _read(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read(file: Path, changed_ns: int, size: int) -> tuple[Document, ...]:  # noqa: ARG001
    if size > _MOST_BYTES:
        raise mistake_at(
            f"{file}:1",
            f"the file has {size:,} bytes; the limit is {_MOST_BYTES:,}.",
            "Define one dataset in one file.",
        )
    text = _text(file)
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        for node in nodes:
            _check_size(file, node)
            _check_keys(file, node)
        values = [_Loader("").construct_document(node) for node in nodes]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _not_yaml(file, line, error.problem or error.context or "") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _not_yaml(file, line, "a control character is not allowed") from None
    except RecursionError:
        raise _not_yaml(file, 1, "it is nested too deeply") from None
    except (ValueError, TypeError, OverflowError):
        # PyYAML passes on what Python says of a number such as `0x_`, without a line.
        raise _not_yaml(file, 1, "a number in it cannot be read") from None
    parts = enumerate(zip(values, nodes, strict=True))
    return tuple(Document(file, number, value, node) for number, (value, node) in parts)


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise mistake_at(
            f"{file}:{line}", "the file is not UTF-8 text.", "Save it as UTF-8."
        ) from None


def _unreadable(file: Path, error: OSError) -> ConfigurationError:
    return mistake_at(
        f"{file}:1",
        f"the file cannot be read: {error.strerror or type(error).__name__}.",
        "Make it a file that this user may read.",
    )


def _not_yaml(file: Path, line: int, problem: str) -> ConfigurationError:
    # What PyYAML quotes may be part of a password; its names of tokens are in angle brackets.
    problem = re.sub(r" '(?!<)[^']{2,}'| \"[^\"]{2,}\"", "", problem)
    return mistake_at(
        f"{file}:{line}",
        f"not valid YAML: {problem}.",
        "Check the indentation and the brackets just before this line.",
    )


def _check_size(file: Path, root: yaml.Node) -> None:
    """Refuse a document that is too large once each alias is replaced by what it stands for."""
    sizes: dict[int, int | None] = {}  # None while a node is being counted

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = None
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
        known = sizes[id(node)]
        if known is None or known > _MOST_VALUES:
            raise mistake_at(
                f"{file}:{node.start_mark.line + 1}",
                f"the aliases expand to more than {_MOST_VALUES:,} values.",
                "Write the values instead of aliases.",
            )
        return known

    size(root)


def _check_keys(file: Path, root: yaml.Node) -> None:
    """Refuse a setting that is given twice: YAML would silently keep the last one."""
    nodes, seen = [root], set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        nodes += _children(node)
        lines: dict[Any, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in lines:
                raise mistake_at(
                    f"{file}:{line}",
                    f"{name} is given twice, first in line {lines[name]}.",
                    "Remove one of them.",
                )
            lines[name] = line


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _inner(node: yaml.Node, part: str | int) -> Sequence[yaml.Node] | None:
    """The key (or the item) and the value of a part of a node."""
    if isinstance(node, yaml.MappingNode):
        found = [pair for pair in node.value if pair[0].value == str(part)]
        return found[-1] if found else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
