"""Loads `defs/` without some of its folders, and without what Dagster cannot load.

The function with which Dagster looks into a folder answers "nothing" for what is left out.

Reason: `dg.load_from_defs_folder` parses all files before it loads the first component, fails as a
    whole when one of them cannot be loaded, and has no option to leave one out. It also describes
    all component types for the UI, which takes as long as loading the datasets, and opens its own
    state for each component unless a context is set.
Upstream: none found.
Test: test_definitions_agree.py::test_all_others_are_as_without_the_mistakes
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core import component_tree, decl
from dagster.components.core.defs_module import ComponentPath, find_defs_or_component_yaml

from exporter_pipelines.errors import ExporterError

_PACKAGE = __name__.partition(".")[0]
_LOOK_INTO = "build_filesystem_component_decl_from_context"

Failures = dict[Path, BaseException]
"""A folder or a Python file -> why Dagster cannot load it."""


@suppress_dagster_warnings  # as Dagster's own function: its warnings are about its own parts
def load_defs_folder(
    left_out: Collection[Path], *, for_ui: bool
) -> tuple[dg.Definitions, Failures]:
    """What Dagster finds below `defs/`, and what it cannot load.

    Args:
        left_out: Folders below `defs/` whose own file Dagster must not read.
        for_ui: Whether to add the description of all component types, which only the UI shows.

    Raises:
        ExporterError: a setting that all datasets share is wrong.
    """
    failures: Failures = {}
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext.get()):
        while True:
            with _looking(set(left_out), failures):
                tree = _tree()
                try:
                    loaded = tree.build_defs() if for_ui else tree.build_defs(tree.defs_module_path)
                except Exception as error:  # whatever a component of another package raises
                    _raise_ours(error)
                    found = _culprits(tree)
                    if found.keys() <= failures.keys():
                        raise  # what was loaded does not fit together
                    failures.update(found)
                else:
                    return loaded, failures


def _tree() -> dg.ComponentTree:
    # Not `for_project`: it reads pyproject.toml, which only a clone has.
    return dg.ComponentTree(
        defs_module=importlib.import_module(f"{_PACKAGE}.defs"),
        project_root=Path(importlib.import_module(_PACKAGE).__path__[0]).parent,
        code_location_name=_PACKAGE,
    )


@contextmanager
def _looking(left_out: set[Path], failures: Failures) -> Iterator[None]:
    """Have Dagster look into the folders as `look_into` does, until the block ends."""
    original = getattr(decl, _LOOK_INTO)

    def look_into(context: Any) -> Any:
        path, is_root = context.path, context.path == context.defs_module_path
        if path in failures or (path.is_file() and not left_out.isdisjoint(path.parents)):
            return None  # no file beside a broken `defs.yaml`, as without the mistake
        try:
            found = _folders_in(context) if path in left_out else _read(context, original)
        except (Exception, SystemExit) as error:
            if path not in left_out:
                failures[path] = error
            found = None
        if found is not None and found.loc.file_path in failures:
            found = None
        return _folder(context, {}) if found is None and is_root else found

    for module in (decl, component_tree):
        setattr(module, _LOOK_INTO, look_into)
    try:
        yield
    finally:
        for module in (decl, component_tree):
            setattr(module, _LOOK_INTO, original)


def _read(context: Any, original: Callable[[Any], Any]) -> Any:
    if context.path.suffix == ".py" and not context.path.is_file():
        raise OSError("it is not a regular file")  # importing a pipe would wait without an end
    return original(context)


def _folders_in(context: Any) -> Any:
    """What is in the folders below one whose own file is left out; None for nothing."""
    if find_defs_or_component_yaml(context.path) is None:
        return None  # a folder that cannot be looked into
    children = decl.build_component_decls_from_directory_items(context, None)
    return _folder(context, children) if children else None


def _folder(context: Any, children: Any) -> decl.DefsFolderDecl:
    return decl.DefsFolderDecl(
        context=context,
        loc=ComponentPath.from_path(context.path),
        children=children,
        source_tree=None,
        component_file_model=None,
    )


def _culprits(tree: dg.ComponentTree) -> Failures:
    """What cannot be loaded even on its own; not a folder because of what is in it."""
    pairs = tree.find_root_decl().iterate_loc_component_decl_pairs()
    paths = {
        loc.file_path for loc, _ in pairs
        if isinstance(loc, ComponentPath) and loc.file_path != tree.defs_module_path
    }  # fmt: skip
    found: Failures = {}
    for path in sorted(paths, key=lambda path: -len(path.parts)):
        if any(path in known.parents for known in found):
            continue
        try:
            tree.build_defs(path)
        except (Exception, SystemExit) as error:
            _raise_ours(error)
            found[path] = error
    return found


def _raise_ours(error: BaseException) -> None:
    """Raise what a component of ours said, which Dagster has wrapped: it is about all of them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ExporterError):
            raise cause from None
        cause = cause.__cause__ or cause.__context__
