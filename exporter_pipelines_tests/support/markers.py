"""Which markers a test gets: found by what its code and its fixtures name, so none is forgotten.

Also the order in which workers get the tests, which follows from them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

_SUPPORT = "exporter_pipelines_tests.support"
_RUNS_DAGSTER = (
    "dagster",
    "exporter_pipelines.definitions",
    "exporter_pipelines.orchestration",
    *(f"{_SUPPORT}.{name}" for name in ("alerting", "dagster_history", "projects", "runs")),
    f"{_SUPPORT}.servers",
)
"""Modules whose functions and classes run Dagster."""


def markers_of(test: pytest.Function) -> Iterator[pytest.MarkDecorator]:
    """Those of pyproject.toml but `slow`, which a test names itself."""
    fixtures = [found[-1].func for found in test._fixtureinfo.name2fixturedefs.values()]
    # Tests of all sources ask for the server by the name of their parameter.
    parameters = test.callspec.id if hasattr(test, "callspec") else ""
    uses_postgres = "postgres_url" in test.fixturenames or "postgresql" in parameters
    uses_dagster = any(_uses_dagster(function) for function in (test.function, *fixtures))
    if uses_postgres:
        yield pytest.mark.postgres
    if uses_dagster:
        yield pytest.mark.dagster
    if not uses_postgres and not uses_dagster:
        yield pytest.mark.unit


def in_order(items: Sequence[pytest.Function], workers: int) -> list[pytest.Function]:
    """The tests, so that each worker begins with modules of slow ones.

    `--dist worksteal` gives each worker a piece of the list.
    """
    slow, others = dict[Path, list[pytest.Function]](), list[pytest.Function]()
    for item in items:
        is_slow = item.get_closest_marker("slow")
        (slow.setdefault(item.path, []) if is_slow else others).append(item)
    modules = list(slow.values())
    piece = -(-len(others) // workers)
    return [
        item
        for worker in range(workers)
        for tests in (*modules[worker::workers], others[worker * piece : (worker + 1) * piece])
        for item in tests
    ]


@cache
def _uses_dagster(function: Callable[..., Any]) -> bool:
    """Whether a function, or one of its module that it calls, names something that runs Dagster."""
    seen, left = set[Any](), [inspect.unwrap(function)]
    while left:
        current = left.pop()
        seen.add(current)
        for name in _names(current.__code__) & current.__globals__.keys():
            value = current.__globals__[name]
            if _origin(value).startswith(_RUNS_DAGSTER):
                return True
            value = inspect.unwrap(value) if isinstance(value, FunctionType) else value
            is_near = isinstance(value, FunctionType) and value.__module__ == current.__module__
            if is_near and value not in seen:
                left.append(value)
    return False


def _names(code: CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*(_names(each) for each in inner))


def _origin(value: Any) -> str:
    """Name of the module that something is from."""
    if isinstance(value, ModuleType):
        return value.__name__
    return str((value if isinstance(value, FunctionType | type) else type(value)).__module__)
