"""Changes settings in the text of a `defs.yaml`. Its comments and its other settings stay."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from exporter_pipelines.errors import ConfigurationError


def adapted(file: Path, blocks: Mapping[str, str]) -> str:
    """The text of a file with other settings below `attributes:`.

    Args:
        file: A `defs.yaml`.
        blocks: Setting -> its lines, indented by two spaces.

    Raises:
        ConfigurationError: the file is not laid out as usual; the hint has the lines to paste.
    """
    old = file.read_text(encoding="utf-8")
    text = old
    for name, block in blocks.items():
        text = _replaced(text, name, block)
    if _attributes(text) != {**(_attributes(old) or {}), **_settings(blocks)}:
        raise ConfigurationError(
            f"{file} is not laid out as `exporter init` expects, so it was not changed.",
            "Put this below `attributes:` in place of what is there:\n"
            + "\n".join(blocks.values()),
        )
    return text


def _replaced(text: str, name: str, block: str) -> str:
    lines = text.rstrip("\n").split("\n")
    start = next((n for n, line in enumerate(lines) if line.startswith(f"  {name}:")), None)
    if start is None:
        return "\n".join([*lines, block]) + "\n"
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith("   ")):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return "\n".join([*lines[:start], block, *lines[end:]]) + "\n"


def _attributes(text: str) -> dict[str, Any] | None:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    attributes = value.get("attributes") if isinstance(value, dict) else None
    return attributes if isinstance(attributes, dict) else None


def _settings(blocks: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for block in blocks.values():
        found |= yaml.safe_load(textwrap.dedent(block))
    return found
