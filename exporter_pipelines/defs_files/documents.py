"""A `defs.yaml` as documents that know the line of each setting.

Belongs here: reading the text, refusing what is not YAML or says a thing twice, finding lines.
Does not belong here: what the settings mean (`checks`).
"""

from __future__ import annotations

import re
import stat
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
_MOST_DOCUMENTS, _MOST_LEVELS, _MOST_CHARACTERS = 100, 50, 20_000
"""Of a file, of its nesting, of one text. Python allows some 200 levels, less in Dagster."""
_TAGS = frozenset({"str", "int", "float", "bool", "null", "map", "seq", "merge"})
"""Of YAML's core. Dagster fails as a whole on others, such as !!omap."""
_SURROGATE = re.compile("[\ud800-\udfff]")

_ONE_FILE = "Define one dataset in one file, with what it needs."
_CORE = "tag:yaml.org,2002:"
_TIMESTAMP = f"{_CORE}timestamp"


class _LimitError(yaml.MarkedYAMLError):  # type: ignore[misc] # PyYAML has no types
    """The file is larger than a definition can be, or has a text that no file can hold."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Ends at the limits, before it has read the rest.

    Leaves times as text, as Dagster does; a filter over a time column reads them itself.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents = self._levels = self._values = 0

    def compose_document(self) -> yaml.Node:
        """As in PyYAML, within the limit."""
        self._documents += 1
        if self._documents > _MOST_DOCUMENTS:
            self._end(f"the file has more than {_MOST_DOCUMENTS} documents")
        return super().compose_document()

    def compose_node(self, parent: yaml.Node, index: Any) -> yaml.Node:
        """As in PyYAML, within the limits."""
        self._levels += 1
        self._values += 1
        if self._levels > _MOST_LEVELS:
            self._end(f"it is nested more than {_MOST_LEVELS} levels deep")
        if self._values > _MOST_VALUES:
            self._end(f"the file has more than {_MOST_VALUES:,} values")
        node = super().compose_node(parent, index)
        if node.tag.removeprefix(_CORE) not in _TAGS:
            problem = "a tag such as !!set or !mine is not used here"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            _check_text(node)
        self._levels -= 1
        return node

    def _end(self, problem: str) -> None:
        raise _LimitError(problem=problem, problem_mark=self.peek_event().start_mark)


def _check_text(node: yaml.ScalarNode) -> None:
    problem = ""
    if len(node.value) > _MOST_CHARACTERS:
        problem = f"a text has {len(node.value):,} characters; the limit is {_MOST_CHARACTERS:,}"
    elif _SURROGATE.search(node.value):
        problem = "half of a surrogate pair is no character"
    if problem:
        raise _LimitError(problem=problem, problem_mark=node.start_mark)


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
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        found = _read(file, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise _unreadable(file, error) from None
    if isinstance(found, ConfigurationError):
        raise found.with_traceback(None)
    return found


@lru_cache(maxsize=256)
def _read(
    file: Path,
    changed_ns: int,  # noqa: ARG001
    size: int,
) -> tuple[Document, ...] | ConfigurationError:
    """The documents, or what is wrong with the file; a file that cannot be read is tried again."""
    try:
        if size > _MOST_BYTES:
            raise mistake_at(
                f"{file}:1",
                f"the file has {size:,} bytes; the limit is {_MOST_BYTES:,}.",
                _ONE_FILE,
            )
        return _parsed(file, _text(file, file.read_bytes()))
    except ConfigurationError as mistake:
        return mistake


def _parsed(file: Path, text: str) -> tuple[Document, ...]:
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        for node in nodes:
            _check_size(file, node)
            _check_keys(file, node)
        values = [_Loader("").construct_document(node) for node in nodes]
    except _LimitError as error:
        line = error.problem_mark.line + 1
        raise mistake_at(f"{file}:{line}", f"{error.problem}.", _ONE_FILE) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise _not_yaml(file, line, error.problem or error.context or "") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _not_yaml(file, line, "a control character is not allowed") from None
    except ConfigurationError:
        raise
    except Exception:
        # PyYAML passes on what Python says of `0x_` or `!!bool x`, without a line.
        raise _not_yaml(file, 1, "a value is not of the type that it should have") from None
    parts = enumerate(zip(values, nodes, strict=True))
    return tuple(Document(file, number, value, node) for number, (value, node) in parts)


def _text(file: Path, content: bytes) -> str:
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
