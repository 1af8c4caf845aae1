"""The charts of the report, as SVG.

Each dataset is one path, so a chart of 400 days stays small. A longer time is shown by month.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exporter_pipelines.contracts.export_attempts import DaySummary
from exporter_pipelines.reporting.drawing import BAD, RULES, SERIES, Drawing, svg_of
from exporter_pipelines.reporting.months import by_month, month_of
from exporter_pipelines.reporting.numbers import Report

_BARS_UP_TO = 62
_DAYS_UP_TO = 400
RULES_SHOWN = 10
_MOST_TICKS = 6


def period_of(report: Report) -> str:
    """What a bar or a point of the charts stands for: `day` or `month`."""
    return "day" if _days_between(report) < _DAYS_UP_TO else "month"


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
    with Drawing("rules", height=0.5 + 0.3 * len(rules)) as (figure, axes):
        names = [f"{dataset} · {rule}" for dataset, rule, _ in rules]
        bars = axes.barh(names, [count for *_, count in rules], color=RULES, height=0.6)
        axes.bar_label(bars, [f"{count:,}" for *_, count in rules], padding=4)
        axes.grid(visible=False)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.12)
        return svg_of(figure, "rules")


def _by_day(
    report: Report,
    name: str,
    value: Any,
    *,
    stacked: bool = False,
    bad: bool = False,
    unit: str = "",
) -> str:
    dates, is_monthly = _dates(report), period_of(report) == "month"
    published = by_month(report.published) if is_monthly else report.published
    series = {
        dataset: _values(dates, (d for d in published if d.dataset == dataset), value)
        for dataset in report.datasets
    }
    with Drawing(name) as (figure, axes):
        if stacked:
            _stack(axes, dates, series)
            axes.set_ylim(bottom=0)
        else:
            _lines(axes, dates, series)
        if bad and report.bad_days:
            crosses = [dt.date.fromisoformat(day) for day in report.bad_days]
            axes.plot(
                crosses, [0] * len(crosses), "x", color=BAD,
                markersize=7 if len(dates) <= _BARS_UP_TO else 4,
                markeredgewidth=2, clip_on=False, zorder=5,
            )  # fmt: skip
        _axes(axes, dates, unit)
        return svg_of(figure, name)


def _days_between(report: Report) -> int:
    """Between the first and the last known day."""
    first, last = (dt.date.fromisoformat(day) for day in (min(report.states), max(report.states)))
    return (last - first).days


def _dates(report: Report) -> list[dt.date]:
    """Every day, or the first day of every month, from the first to the last known day."""
    known = sorted(report.states)
    if period_of(report) == "day":
        first = dt.date.fromisoformat(known[0])
        return [first + dt.timedelta(days=n) for n in range(_days_between(report) + 1)]
    dates = [dt.date.fromisoformat(month_of(known[0]))]
    while (following := _next_month(dates[-1])).isoformat() <= known[-1]:
        dates.append(following)
    return dates


def _next_month(date: dt.date) -> dt.date:
    return (date + dt.timedelta(days=31)).replace(day=1)


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
        if len(dates) <= _BARS_UP_TO and not _are_months(dates):
            axes.bar(dates, heights, bottom=base, color=color, width=0.75)
        else:
            axes.stairs(base + heights, _edges(dates), baseline=base, fill=True, color=color)
        base += heights


def _lines(
    axes: Any, dates: Sequence[dt.date], series: Mapping[str, Sequence[float | None]]
) -> None:
    for position, values in enumerate(series.values()):
        color = f"#0a000{position % SERIES + 1}"
        known = [float("nan") if value is None else value for value in values]
        if len(dates) <= _BARS_UP_TO:
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


def _are_months(dates: Sequence[dt.date]) -> bool:
    return len(dates) > 1 and dates[1] - dates[0] > dt.timedelta(days=1)


def _edges(dates: Sequence[dt.date]) -> list[dt.datetime]:
    """Where the areas of days or months begin, and the last one ends."""
    midnights = [dt.datetime.combine(date, dt.time()) for date in dates]
    if _are_months(dates):
        return [*midnights, dt.datetime.combine(_next_month(dates[-1]), dt.time())]
    edges = [midnight - dt.timedelta(hours=12) for midnight in midnights]
    return [*edges, edges[-1] + dt.timedelta(days=1)]


def _alone(values: Sequence[float | None]) -> list[int]:
    """Positions of values without a neighbour, which a line does not show."""
    around = [None, *values, None]
    return [
        number
        for number, value in enumerate(values)
        if value is not None and around[number] is None and around[number + 2] is None
    ]


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
