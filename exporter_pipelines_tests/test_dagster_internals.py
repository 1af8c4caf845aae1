"""Each private part of Dagster that the product uses, and the test that notices a change."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from exporter_pipelines.orchestration import dagster_internals

TESTS = Path(__file__).parent
PIECES = sorted(
    file for file in Path(dagster_internals.__path__[0]).glob("*.py") if file.stem != "__init__"
)


@pytest.mark.parametrize("piece", PIECES, ids=lambda file: file.stem)
def test_a_piece_states_its_reason_and_names_its_test(piece: Path) -> None:
    text = ast.get_docstring(ast.parse(piece.read_text())) or ""
    assert re.search(r"^Reason: \S+", text, re.M)
    assert re.search(
        r"^Upstream: (none found\.|https://github\.com/dagster-io/dagster/issues/\d+)$", text, re.M
    )
    found = re.search(r"^Test: (test_\w+\.py)::(test_\w+)$", text, re.M)
    assert found
    assert f"def {found[2]}(" in (TESTS / found[1]).read_text()
