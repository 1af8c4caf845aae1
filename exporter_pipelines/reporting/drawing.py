"""Drawings of Matplotlib as SVG, with the colors and the font of the page.

Matplotlib cannot use CSS variables. Charts are drawn in placeholder colors, which are then replaced
by CSS variables, so one chart serves the light and the dark page.
"""

from __future__ import annotations

import io
import re
from typing import Any

SERIES = 8
"""Number of colors; the ninth dataset uses the first color again."""

_TEXT, _GRID, BAD, RULES = "#0b0001", "#0b0002", "#0b0003", "#0b0004"
_VARIABLES = {
    _TEXT: "var(--muted)",
    _GRID: "var(--line)",
    BAD: "var(--bad)",
    RULES: "var(--warn)",
    **{f"#0a000{number}": f"var(--series-{number})" for number in range(1, SERIES + 1)},
}
# 5.4 inches are 389 units. Text of 10 units is legible at 560 px on a screen and 340 px on a phone.
_WIDTH_IN, _HEIGHT_IN = 5.4, 2.5
_JOINS = 'stroke-linejoin="round" stroke-linecap="butt"'
"""What Matplotlib's style sheet says about every element."""
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _TEXT,
    "text.parse_math": False,
    "path.simplify": False,  # it leaves out days of a line of hundreds
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
    "ytick.major.size": 0,
}


class Drawing:
    """A figure in the style of the page, without changing Matplotlib's global state."""

    def __init__(self, name: str, height: float = _HEIGHT_IN) -> None:
        from matplotlib import rc_context

        style: Any = {**_STYLE, "svg.hashsalt": name}
        self._style = rc_context(style)
        self._height = height

    def __enter__(self) -> tuple[Any, Any]:
        from matplotlib.figure import Figure

        self._style.__enter__()
        figure = Figure(figsize=(_WIDTH_IN, self._height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        return figure, axes

    def __exit__(self, *error: Any) -> None:
        self._style.__exit__(*error)


def svg_of(figure: Any, name: str) -> str:
    """The `<svg>` element; ids start with the name, because a page has several charts.

    It has no style sheet and no style attributes, so that a page with a strict Content-Security-
    Policy can show it. Its accessible name is the title and the caption of its figure.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bstyle="([^"]*)"', _as_attributes, svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg)
    named = f'role="img" aria-labelledby="{name}-title {name}-caption" {_JOINS}'
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', rf"<svg {named} \1", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return svg


def _as_attributes(style: re.Match[str]) -> str:
    """A style attribute as one attribute for each property; the font is that of the page."""
    properties = dict(part.split(":", 1) for part in style[1].split(";") if ":" in part)
    return " ".join(
        f'{name.strip()}="{value.strip()}"'
        for name, value in properties.items()
        if name.strip() != "font-family"
    )
