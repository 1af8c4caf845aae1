"""Examples of the documentation, as written there."""

from __future__ import annotations

import re
import textwrap

from exporter_pipelines_tests.support.projects import ROOT


def example(name: str) -> str:
    """The code block below `<!-- example: NAME -->` on a page of docs/, without its indentation."""
    marker = rf"<!-- example: {re.escape(name)} -->\n *```\w+\n"
    marked = re.compile(rf"{marker}(.*?)\n *```\n", re.DOTALL)
    [found] = [
        match for page in (ROOT / "docs").glob("*.md") for match in marked.findall(page.read_text())
    ]
    return textwrap.dedent(found) + "\n"


def indented(attributes: str) -> str:
    """Attributes as they stand in a `defs.yaml`."""
    return textwrap.indent(attributes, "  ")
