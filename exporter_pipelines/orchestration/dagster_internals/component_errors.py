"""Recognizes what Dagster raises for a `type:` in a defs.yaml that does not exist.

Reason: Dagster exports no class for this error, and its text is part of a long message.
Upstream: none found.
Test: test_configuration.py::test_an_unknown_component_is_named
"""

from __future__ import annotations

from dagster_shared.error import DagsterUnresolvableSymbolError


def names_unknown_component(error: BaseException) -> bool:
    """Whether the error says that the `type:` of a defs.yaml cannot be imported."""
    return isinstance(error, DagsterUnresolvableSymbolError)
