"""A table that changes under the export: the right verdict, and the old export intact."""

from __future__ import annotations

import pytest

from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.schema_drift import CASES, Case, wrong


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}, {case.when}")
def test_a_changed_table_gets_the_verdict_of_the_docs(
    case: Case, backend: Backend, store: LocalStore
) -> None:
    assert wrong(case, backend, store) == ""
