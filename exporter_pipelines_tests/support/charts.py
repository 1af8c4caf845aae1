"""The values that a chart of the report shows, read from its SVG as an eye does: with its axes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

_SVG = re.compile(r"<svg [^>]*aria-labelledby=\"(\w+)-title.*?</svg>", re.DOTALL)
_CAPTION = r'<figcaption id="{}-caption">(.*?)</figcaption>'
_GROUP = r'<g id="\w+-{}_\d+">(.*?)</text>'
_TEXT = re.compile(r"<text [^>]*>([^<]*)</text>")
_POINT = re.compile(r"([ML]) (-?[\d.]+) (-?[\d.]+)")
_PATH = re.compile(r'<path d="([^"]*)"([^>]*)>')
_MARK = re.compile(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*stroke="var\(--([\w-]+)\)"')
_FACTORS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6}
Values = dict[int, dict[str, float]]
"""Number of the color -> day -> value."""


@dataclass(frozen=True)
class Chart:
    """A chart over days.

    Attributes:
        svg: Its drawing.
        caption: It names the first and the last day.
    """

    svg: str
    caption: str

    @cached_property
    def days(self) -> list[str]:
        """All days of its horizontal axis."""
        first, last = map(dt.date.fromisoformat, re.findall(r"\d{4}-\d\d-\d\d", self.caption)[:2])
        return [str(first + dt.timedelta(days=n)) for n in range((last - first).days + 1)]

    @property
    def stacked(self) -> Values:
        """Heights of the bars."""
        return {
            color: {day: high - low for day, (low, high) in areas.items()}
            for color, areas in self._areas.items()
        }

    @property
    def tops(self) -> dict[str, float]:
        """Day -> where its highest bar ends."""
        found: dict[str, float] = {}
        for areas in self._areas.values():
            for day, (_, high) in areas.items():
                found[day] = max(high, found.get(day, 0))
        return found

    @cached_property
    def _areas(self) -> dict[int, dict[str, tuple[float, float]]]:
        """Number of the color -> day -> both ends of its bar, also of neighbours in one area."""
        found: dict[int, dict[str, tuple[float, float]]] = {}
        for color, path in self._colored("fill"):
            corners = [self._at(float(x), float(y)) for _, x, y in _POINT.findall(path)]
            edges: dict[str, list[float]] = {}
            for (left, value), (right, other) in pairwise([*corners, corners[0]]):
                if left != right:
                    assert value == other
                    start = min(left, right)
                    middle = start if abs(right - left) > 2 else (left + right) / 2  # months: edge
                    edges.setdefault(self._day(middle), []).append(value)
            for day, (one, two) in edges.items():
                found.setdefault(color, {})[day] = min(one, two), max(one, two)
        return found

    @property
    def lines(self) -> Values:
        """Values of the corners of the lines and of the points on them."""
        found: Values = {}
        lines = [(color, x, y) for color, path in self._colored("stroke")
                 for _, x, y in _POINT.findall(path)]  # fmt: skip
        points = [
            (int(color[7:]), x, y)
            for x, y, color in _MARK.findall(self.svg)
            if color.startswith("series-")
        ]
        for color, x, y in lines + points:
            place, value = self._at(float(x), float(y))
            found.setdefault(color, {})[self._day(place)] = value
        return found

    @property
    def crosses(self) -> list[str]:
        """Days with a cross."""
        return [
            self._day(self._at(float(x), 0)[0])
            for x, _, color in _MARK.findall(self.svg)
            if color == "bad"
        ]

    def _colored(self, what: str) -> Iterator[tuple[int, str]]:
        for path, attributes in _PATH.findall(self.svg):
            color = re.search(rf'{what}="var\(--series-(\d)\)"', attributes)
            if color and "clip-path" in attributes:
                yield int(color[1]), path

    def _day(self, place: float) -> str:
        number = round(place)
        assert abs(place - number) < 0.01, place
        return str(dt.date.fromisoformat(self.days[0]) + dt.timedelta(days=number))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """The place among the days and the value at a point of the drawing."""
        return _linear(self._days_of_axis, x), _linear(self._values_of_axis, y)

    @cached_property
    def _values_of_axis(self) -> list[tuple[float, float]]:
        found = []
        for tick in re.findall(_GROUP.format("ytick"), self.svg, re.DOTALL):
            label = tick.rpartition(">")[2]
            number, factor = re.fullmatch(r"([\d.]+)([kMm]?)(?: [%s])?", label).groups()  # type: ignore[union-attr]
            found.append((float(_POINT.findall(tick)[0][2]), float(number) * _FACTORS[factor]))
        return found

    @cached_property
    def _days_of_axis(self) -> list[tuple[float, float]]:
        found = []
        for tick in re.findall(_GROUP.format("xtick"), self.svg, re.DOTALL):
            label = tick.rpartition(">")[2]
            x = float(re.search(r'<use [^>]* x="([\d.]+)"', tick)[1])  # type: ignore[index]
            named = [n for n, day in enumerate(self.days) if label in _names(day)]
            assert len(named) == 1, label
            found.append((x, float(named[0])))
        return found


def charts(html: str) -> dict[str, Chart]:
    """Name -> chart of a page."""
    captions = {
        match[1]: re.findall(_CAPTION.format(match[1]), html) for match in _SVG.finditer(html)
    }
    return {match[1]: Chart(match[0], *captions[match[1]]) for match in _SVG.finditer(html)}


def labelled_bars(svg: str) -> dict[str, tuple[float, str]]:
    """Name -> length of its bar and the text at its end; the longest bar is 1."""
    texts = _TEXT.findall(svg)
    names, ends = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    lengths = []
    for path, attributes in _PATH.findall(svg):
        if "--warn" in attributes:
            xs = [float(x) for _, x, _ in _POINT.findall(path)]
            lengths.append(max(xs) - min(xs))
    assert len(names) == len(lengths) == len(ends)
    return {
        name: (length / max(lengths), end)
        for name, length, end in zip(names, lengths, ends, strict=True)
    }


def _names(day: str) -> set[str]:
    date = dt.date.fromisoformat(day)
    of_month = {f"{date:%b %Y}"} if date.day == 1 else set()
    of_year = {f"{date:%Y}"} if (date.month, date.day) == (1, 1) else set()
    return {day, f"{date:%b %d}"} | of_month | of_year


def _linear(ticks: list[tuple[float, float]], at: float) -> float:
    """The value at a coordinate; every tick is on the line through the first and the last one."""
    (x0, v0), (x1, v1) = ticks[0], ticks[-1]
    slope = (v1 - v0) / (x1 - x0)
    for x, value in ticks:
        assert abs(v0 + (x - x0) * slope - value) < 1e-4 * max(1.0, abs(v1 - v0))
    return v0 + (at - x0) * slope
