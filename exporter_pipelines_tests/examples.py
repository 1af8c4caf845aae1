"""Examples of the documentation, as written there."""

from __future__ import annotations

import re

from exporter_pipelines_tests.projects import ROOT


def example(name: str) -> str:
    """The code block below `<!-- example: NAME -->` on a page of docs/."""
    marked = re.compile(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", re.DOTALL)
    [found] = [
        match for page in (ROOT / "docs").glob("*.md") for match in marked.findall(page.read_text())
    ]
    return str(found)
