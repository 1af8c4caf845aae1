"""Charts as SVG, drawn by Matplotlib, with the colors and the font of the page.

Each dataset is one path, so a chart of 400 days stays small. Matplotlib cannot use CSS variables.
Charts are drawn in placeholder colors, which are then replaced by CSS variables, so one chart
serves the light and the dark page.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exporter_pipelines.contracts.export_attempts import DaySummary
from exporter_pipelines.reporting.numbers import Report

SERIES = 8
"""Number of colors; the ninth dataset uses the first color again."""

_TEXT, _GRID, _BAD, _RULES = "#0b0001", "#0b0002", "#0b0003", "#0b0004"
_VARIABLES = {
    _TEXT: "var(--muted)",
    _GRID: "var(--line)",
    _BAD: "var(--bad)",
    _RULES: "var(--warn)",
    **{f"#0a000{number}": f"var(--series-{number})" for number in range(1, SERIES + 1)},
}
_BARS_UP_TO_DAYS = 62
# 5.4 inches are 389 units. Text of 10 units is legible at 560 px on a screen and 340 px on a phone.
_WIDTH_IN, _HEIGHT_IN = 5.4, 2.5
RULES_SHOWN = 10
_MOST_TICKS = 6
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


def series_of(position: int) -> int:
    """Number of the color of the n-th dataset, from 1."""
    return position % SERIES + 1


def volume(report: Report) -> str:
    """Rows exported by day, stacked by dataset; a cross marks each of `Report.bad_days`."""
    return _by_day(report, "volume", lambda day: day.rows_exported, stacked=True, bad=True)


def duration(report: Report) -> str:
    """Seconds by day, stacked by dataset."""
    return _by_day(report, "duration", lambda day: day.duration_s, stacked=True, unit=" s")


def validity(report: Report) -> str:
    """Share of valid rows by day, one line per dataset."""
    return _by_day(report, "validity", lambda day: day.valid_pct, unit=" %")


def completeness(report: Report) -> str:
    """Share of values that are not null by day, one line per dataset."""
    return _by_day(report, "completeness", lambda day: day.completeness_pct, unit=" %")


def rejected_by_rule(report: Report) -> str:
    """Rejected rows per rule, highest first."""
    rules = report.rejected_by_rule[:RULES_SHOWN][::-1]
    with _Figure("rules", height=0.5 + 0.3 * len(rules)) as (figure, axes):
        names = [f"{dataset} · {rule}" for dataset, rule, _ in rules]
        bars = axes.barh(names, [count for *_, count in rules], color=_RULES, height=0.6)
        axes.bar_label(bars, [f"{count:,}" for *_, count in rules], padding=4)
        axes.grid(visible=False)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.12)
        return _svg(figure, "rules")


def _by_day(
    report: Report,
    name: str,
    value: Any,
    *,
    stacked: bool = False,
    bad: bool = False,
    unit: str = "",
) -> str:
    dates = _dates(report)
    series = {
        dataset: _values(dates, (d for d in report.published if d.dataset == dataset), value)
        for dataset in report.datasets
    }
    with _Figure(name) as (figure, axes):
        if stacked:
            _stack(axes, dates, series)
            axes.set_ylim(bottom=0)
        else:
            _lines(axes, dates, series)
        if bad and report.bad_days:
            crosses = [dt.date.fromisoformat(day) for day in report.bad_days]
            axes.plot(
                crosses, [0] * len(crosses), "x", color=_BAD,
                markersize=7 if len(dates) <= _BARS_UP_TO_DAYS else 4,
                markeredgewidth=2, clip_on=False, zorder=5,
            )  # fmt: skip
        _axes(axes, dates, unit)
        return _svg(figure, name)


def _dates(report: Report) -> list[dt.date]:
    """Every day from the first to the last known day."""
    known = sorted(report.states)
    first, last = (dt.date.fromisoformat(day) for day in (known[0], known[-1]))
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


def _values(dates: Sequence[dt.date], days: Iterable[DaySummary], value: Any) -> list[float | None]:
    by_day = {day.day: value(day) for day in days}
    return [by_day.get(date.isoformat()) for date in dates]


def _stack(
    axes: Any, dates: Sequence[dt.date], series: Mapping[str, Sequence[float | None]]
) -> None:
    import numpy as np

    base = np.zeros(len(dates))
    for position, values in enumerate(series.values()):
        heights = np.array([value or 0 for value in values], dtype=float)
        color = f"#0a000{position % SERIES + 1}"
        if len(dates) <= _BARS_UP_TO_DAYS:
            axes.bar(dates, heights, bottom=base, color=color, width=0.75)
        else:
            edges = [date - dt.timedelta(hours=12) for date in map(_midnight, dates)]
            edges.append(edges[-1] + dt.timedelta(days=1))
            axes.stairs(base + heights, edges, baseline=base, fill=True, color=color)
        base += heights


def _lines(
    axes: Any, dates: Sequence[dt.date], series: Mapping[str, Sequence[float | None]]
) -> None:
    for position, values in enumerate(series.values()):
        color = f"#0a000{position % SERIES + 1}"
        known = [float("nan") if value is None else value for value in values]
        if len(dates) <= _BARS_UP_TO_DAYS:
            axes.plot(dates, known, marker="o", color=color, markersize=4, linewidth=1.8)
        else:
            axes.plot(
                dates, known, marker="o", markevery=_alone(values), color=color,
                markersize=1.5, linewidth=1.1,
            )  # fmt: skip
    bottom = min((v for values in series.values() for v in values if v is not None), default=0)
    # From below the worst day to a little above 100.
    spread = max(100 - bottom, 0.5)
    axes.set_ylim(max(bottom - 0.15 * spread, 0), 100 + 0.08 * spread)


def _alone(values: Sequence[float | None]) -> list[int]:
    """Positions of values without a neighbour, which a line does not show."""
    around = [None, *values, None]
    return [
        number
        for number, value in enumerate(values)
        if value is not None and around[number] is None and around[number + 2] is None
    ]


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time())


def _axes(axes: Any, dates: Sequence[dt.date], unit: str) -> None:
    from matplotlib import dates as ticks
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

    if len(dates) == 1:
        axes.set_xticks(dates, [dates[0].isoformat()])
        axes.set_xlim(dates[0] - dt.timedelta(days=2), dates[0] + dt.timedelta(days=2))
    elif len(dates) <= _MOST_TICKS:
        # Otherwise Matplotlib has ticks of half a day, or warns that it found none.
        axes.set_xticks(dates, [f"{date:%b %d}" for date in dates])
        axes.margins(x=0.01)
    else:
        locator = ticks.AutoDateLocator(
            minticks=3, maxticks=_MOST_TICKS, interval_multiples=len(dates) > 14
        )  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ticks.ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
        formatter.formats = ["%Y", "%b %Y", "%b %d", "%H:%M", "%H:%M", "%S.%f"]
        formatter.zero_formats = ["", "%b %Y", "%b %d", "%b %d", "%H:%M", "%H:%M"]
        axes.xaxis.set_major_formatter(formatter)
        axes.margins(x=0.01)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
    shown = EngFormatter(sep="") if not unit else FuncFormatter(lambda y, _: f"{y:g}{unit}")
    axes.yaxis.set_major_formatter(shown)
    axes.tick_params(axis="x", length=3)


class _Figure:
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


def _svg(figure: Any, name: str) -> str:
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
