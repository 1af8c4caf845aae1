"""The import ladder: a package imports only what is above it, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import exporter_pipelines

PACKAGE = Path(exporter_pipelines.__file__).parent
SHARED_BY_SOURCES = (
    "sources.time_encodings", "sources.time_spellings", "sources.likely_encoding",
    "sources.comparing", "sources.time_candidates",
)  # fmt: skip
# Package or module -> what it may import. `defs` are user code: rules need contracts, transforms.
LADDER = {
    "process_memory": set(),
    "hangups": set(),
    "errors": set(),
    "dotenv_file": {"errors"},
    "settings": {"errors", "dotenv_file"},
    "alert_settings": {"errors", "settings"},
    "service_settings": {"errors", "settings"},
    "extras": {"errors"},
    "docs_links": {"settings"},
    "contracts": {"errors"},
    "sources": {"errors", "contracts"},
    # Each kind of database by itself.
    **{
        f"sources.{folder.parent.name}": {"errors", "contracts", *SHARED_BY_SOURCES}
        for folder in (PACKAGE / "sources").glob("*/__init__.py")
    },
    "transforms": {"errors", "contracts"},
    "formats": {"errors", "contracts"},
    "stores": {"errors", "contracts"},
    "stores.opening": {"errors", "settings", "extras", "contracts", "stores"},
    "privacy": {"errors", "contracts"},
    "engine": {
        "errors", "settings", "extras", "contracts", "transforms", "formats", "stores", "privacy",
    },
    "verification": {
        "errors", "settings", "extras", "contracts", "formats", "stores", "engine", "privacy",
        "defs_files", "databases", "output_folder",
    },
    "reporting": {"extras", "contracts"},
    "demo": {"errors", "settings", "dotenv_file", "extras", "contracts", "stores"},
    "databases": {"errors", "settings", "contracts", "sources", "demo"},
    "notifications": {"extras", "docs_links", "contracts"},
    "output_folder": {"errors", "settings", "contracts", "stores"},
    "defs_files": {"errors", "settings", "contracts", "transforms", "formats", "stores"},
    "orchestration": {"orchestration.dagster_internals", "orchestration.exports"},
    "orchestration.dagster_internals": {"errors", "contracts", "engine"},
    "orchestration.exports": {
        "docs_links",
        "errors", "settings", "contracts", "transforms", "formats", "stores", "engine",
        "databases", "defs_files", "reporting", "orchestration.dagster_internals",
        "orchestration.report", "output_folder", "process_memory", "dotenv_file",
    },
    "orchestration.upkeep": {
        "docs_links",
        "errors", "settings", "contracts", "stores", "engine", "databases", "defs_files",
        "output_folder", "orchestration.dagster_internals", "orchestration.exports",
    },
    "orchestration.report": {
        "docs_links",
        "errors", "settings", "extras", "contracts", "stores", "engine", "reporting",
        "orchestration.dagster_internals", "orchestration.exports",
    },
    "orchestration.training": {
        "errors", "settings", "docs_links", "contracts", "stores", "defs_files", "training",
        "orchestration.exports",
    },
    "orchestration.alerts": {
        "docs_links", "alert_settings",
        "errors", "settings", "extras", "contracts", "sources", "stores", "engine", "defs_files",
        "notifications", "orchestration.dagster_internals", "orchestration.exports",
        "orchestration.upkeep",
    },
    "components": {
        "errors", "settings", "contracts", "transforms", "formats", "defs_files", "orchestration",
    },
    "defs": {"settings", "contracts", "transforms"},
    "definitions": {
        "dotenv_file", "process_memory", "hangups", "defs_files", "orchestration", "components",
    },
    "policy_proposals": {"errors", "contracts", "privacy"},
    "doctor": {
        "errors", "settings", "extras", "contracts", "transforms", "formats", "stores", "engine",
        "privacy", "policy_proposals", "databases", "defs_files", "output_folder",
        "dotenv_file", "alert_settings",
    },
    "new_datasets": {
        "errors", "settings", "extras", "contracts", "transforms", "formats", "stores",
        "defs_files", "policy_proposals", "doctor",
    },
    "service.models": set(),  # the client has them, too
    "training": {
        "errors", "extras", "contracts", "stores", "engine",
    },
    "service": {
        "service.models", "errors", "settings", "service_settings", "project_lock", "extras",
        "docs_links",
        "contracts", "formats", "stores", "engine", "databases", "defs_files", "output_folder",
        "verification", "reporting", "orchestration", "training",
    },
    "client": {"errors", "contracts", "service.models"},
    "cli": {
        "service", "service.models", "service_settings", "supervisor", "supervised_processes",
        "project_lock", "client", "api", "training", "privacy",
        "errors", "settings", "extras", "contracts", "stores", "engine",
        "verification", "databases", "defs_files", "doctor", "new_datasets", "notifications",
        "orchestration", "output_folder", "definitions", "process_memory",
        "dotenv_file", "alert_settings",
    },
    "api": {
        "training", "extras",
        "errors", "settings", "contracts", "stores", "engine", "databases", "defs_files",
        "output_folder",
    },
    "slice_reader": {"process_memory", "errors", "contracts", "sources", "engine"},
    "__main__": {"process_memory", "hangups", "cli"},
    "supervised_processes": set(),
    "project_lock": {"errors", "settings"},
    "supervisor": {
        "settings", "orchestration.dagster_internals", "orchestration.exports",
        "supervised_processes", "project_lock", "hangups",
    },
}  # fmt: skip
MAY_IMPORT_DAGSTER = {"orchestration", "components", "definitions", "service"}
DAGSTER_INTERNALS = "orchestration.dagster_internals"
PRIVATE_DAGSTER = ("dagster._", "dagster_shared")
DRIVERS = {"adbc_driver_manager", "adbc_driver_postgresql", "psycopg", "psycopg2", "sqlite3"}
STORES = "exporter_pipelines.stores"
"""Also what the package itself exports, `LocalStore`."""
KINDS_OF_STORES = (f"{STORES}.local.store", f"{STORES}.local.versions", f"{STORES}.objects")
MAY_IMPORT_DRIVERS = {"sources", "demo"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def dotted(module: Path) -> str:
    """`sources.postgres.query`; of a package the name of the package."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {f"exporter_pipelines.{dotted(module)}" for module in MODULES}


def room_of(name: str) -> str:
    """The longest part of a dotted name that is on the ladder."""
    parts = name.split(".")
    known = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((room for room in known if room in LADDER), "")


@cache
def imports(module: Path) -> list[str]:
    """Dotted names of imported modules, at the top of the module or inside a function."""
    found: list[str] = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            found += {name if name in NAMES else str(node.module) for name in inner}
    return found


def may_import(room: str, name: str) -> bool:
    """Whether a module in `room` may import the module `name`: its own room, or one above it."""
    target = room_of(name)
    allowed = LADDER[room]
    return (
        target == room
        or name in allowed
        or any(f"{target}.".startswith(f"{entry}.") for entry in allowed)
        # A package may use what is inside it: `sources` is the registry of its folders.
        or (room == "sources" and target.startswith("sources."))
    )


def test_a_package_imports_only_what_is_above_it() -> None:
    assert [problem for module in MODULES for problem in misplaced_imports(module)] == []


def misplaced_imports(module: Path) -> Iterator[str]:
    """What is wrong with the imports of a module, and what to do about it."""
    name = dotted(module)
    room = room_of(name)
    outer = room.partition(".")[0]
    for imported in imports(module):
        top, _, rest = imported.partition(".")
        if not name:
            yield f"The map of the package must not import {imported}."
        elif top == "exporter_pipelines" and rest and not may_import(room, rest):
            yield (
                f"{name}: {room} must not import {rest}. Move the shared noun to contracts/, or "
                "let the caller in a lower package pass it in."
            )
        elif top.startswith("dagster") and outer not in MAY_IMPORT_DAGSTER:
            yield (
                f"{name}: {room} must not know Dagster. Pass in what it needs, from orchestration/."
            )
        elif top in DRIVERS and outer not in MAY_IMPORT_DRIVERS:
            yield (
                f"{name}: {room} must not talk to a database. Ask for it in contracts/source.py "
                "and read it in sources/."
            )


def test_private_parts_of_dagster_are_used_in_one_package_only() -> None:
    assert [problem for module in MODULES for problem in private_parts(module)] == []


def private_parts(module: Path) -> Iterator[str]:
    """Private parts of Dagster that a module must not use, and where they belong."""
    room = room_of(dotted(module))
    if room == DAGSTER_INTERNALS or room.partition(".")[0] not in MAY_IMPORT_DAGSTER:
        return
    for name in imports(module):
        if name.startswith(PRIVATE_DAGSTER):
            yield (
                f"{dotted(module)}: import {name} only in {DAGSTER_INTERNALS}, behind a function "
                "with its reason and test."
            )
    for attribute in private_attributes(module):
        yield (
            f"{dotted(module)}:{attribute}: move the use of a private attribute to "
            f"{DAGSTER_INTERNALS}, with its reason and test."
        )


def private_attributes(module: Path) -> Iterator[str]:
    """Attributes with a leading underscore that are read from anything but `self` or `cls`."""
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if not own and not node.attr.startswith("__"):
            yield f"{node.lineno}: {ast.unparse(node)}"


def test_only_stores_knows_which_kinds_of_stores_there_are() -> None:
    for module in MODULES:
        if dotted(module).partition(".")[0] == "stores":
            continue
        kinds = [n for n in imports(module) if n == STORES or n.startswith(KINDS_OF_STORES)]
        assert not kinds, (
            f"{dotted(module)} must not import {kinds}. Take a contracts.store.Store, from "
            "stores.opening.open_store() where it begins."
        )


def test_no_module_imports_itself_in_a_circle() -> None:
    known = {dotted(module) for module in MODULES}
    graph = {
        dotted(module): {
            rest
            for imported in imports(module)
            if (rest := imported.removeprefix("exporter_pipelines.")) in known - {dotted(module)}
        }
        for module in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def test_every_package_is_on_the_ladder() -> None:
    rooms = {dotted(module).partition(".")[0] for module in MODULES} - {""}
    assert rooms == {room.partition(".")[0] for room in LADDER}, (
        "a new package needs its place in LADDER and in the package docstring"
    )
