"""Loads `defs/` without some of its folders.

The function with which Dagster looks into a folder answers "nothing" for the folders to leave out.

Reason: `dg.load_from_defs_folder` parses all files before it loads the first component, fails as a
    whole when one is not valid YAML or names a type that does not exist, and has no option to leave
    a folder out. It also describes all component types for the UI, which takes as long as loading
    the datasets, and opens its own state for each component unless a context is set.
Upstream: none found.
Test: test_definitions_agree.py::test_all_others_are_as_without_the_mistakes
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core import decl

_PACKAGE = __name__.partition(".")[0]


@suppress_dagster_warnings  # as Dagster's own function: its warnings are about its own parts
def load_defs_folder(left_out: Collection[Path], *, for_ui: bool) -> dg.Definitions:
    """What Dagster finds below `defs/`.

    Args:
        left_out: Folders below `defs/` that Dagster must not read.
        for_ui: Whether to add the description of all component types, which only the UI shows.
    """
    original = decl.build_filesystem_component_decl_from_context

    def look_into(context: Any) -> Any:
        return None if context.path in left_out else original(context)

    decl.build_filesystem_component_decl_from_context = look_into
    try:
        with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
            # Not `for_project`: it reads pyproject.toml, which only a clone has.
            tree = dg.ComponentTree(
                defs_module=importlib.import_module(f"{_PACKAGE}.defs"),
                project_root=Path(importlib.import_module(_PACKAGE).__path__[0]).parent,
                code_location_name=_PACKAGE,
            )
            return tree.build_defs() if for_ui else tree.build_defs(tree.defs_module_path)
    finally:
        decl.build_filesystem_component_decl_from_context = original
