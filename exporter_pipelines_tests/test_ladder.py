"""The import ladder: each room imports only what stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter_pipelines

PACKAGE = Path(exporter_pipelines.__file__).parent
# Room -> rooms that it may import. `defs` are user code: rules need contracts and transforms.
LADDER = {
    "allocators": set(),
    "errors": set(),
    "settings": {"errors"},
    "contracts": {"errors", "contracts"},
    "sources": {"errors", "contracts", "sources"},
    "transforms": {"errors", "contracts", "transforms"},
    "formats": {"errors", "contracts", "formats"},
    "stores": {"errors", "contracts", "stores"},
    "engine": {"errors", "contracts", "sources", "transforms", "formats", "stores", "engine"},
    "reporting": {"contracts", "reporting"},
    "demo": {"errors", "settings", "contracts", "demo"},
    "alerts": {"alerts"},
    "orchestration": {
        "errors", "settings", "contracts", "sources", "transforms", "formats", "stores", "engine",
        "demo", "catalog", "alerts", "reporting", "orchestration",
    },
    "components": {
        "errors", "settings", "contracts", "transforms", "formats", "catalog", "orchestration",
        "components",
    },
    "defs": {"contracts", "transforms", "defs"},
    "definitions": {"allocators", "orchestration", "components"},
    "catalog": {"errors", "contracts"},
    "doctor": {
        "errors", "settings", "contracts", "sources", "transforms", "formats", "stores", "demo",
        "catalog", "doctor",
    },
    "verifying": {
        "errors", "settings", "contracts", "sources", "stores", "engine", "demo", "catalog",
    },
    "cli": {
        "errors", "settings", "contracts", "stores", "engine", "catalog", "doctor", "verifying",
        "alerts", "cli",
    },
    "api": {
        "allocators", "errors", "settings", "contracts", "sources", "stores", "engine", "demo",
        "catalog",
    },
}  # fmt: skip
MAY_IMPORT_DAGSTER = {"orchestration", "components", "definitions"}
DRIVERS = {"adbc_driver_manager", "adbc_driver_postgresql", "psycopg", "psycopg2", "sqlite3"}
MAY_IMPORT_DRIVERS = {"sources", "demo"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_above_it(module: Path) -> None:
    room = room_of(module)
    assert MODULES
    if room == "__init__":
        # The map, and what must come before Arrow is imported.
        assert list(imports(module)) == ["exporter_pipelines.allocators"]
        return
    for name in imports(module):
        top, _, rest = name.partition(".")
        if top == "exporter_pipelines" and rest:
            used = rest.split(".")[0]
            assert used in LADDER[room], (
                f"{room} must not import {used}. Move the shared noun to contracts/, or let the "
                "caller in a lower room pass it in."
            )
        assert not top.startswith("dagster") or room in MAY_IMPORT_DAGSTER, (
            f"{room} must not know Dagster. Pass in what it needs, from orchestration/."
        )
        assert top not in DRIVERS or room in MAY_IMPORT_DRIVERS, (
            f"{room} must not talk to a database. Ask for it in contracts/source.py and read it "
            "in sources/."
        )


def test_every_room_is_on_the_ladder() -> None:
    rooms = {room_of(module) for module in MODULES} - {"__init__"}
    assert rooms == set(LADDER), "a new room needs its place in LADDER and in the package docstring"
