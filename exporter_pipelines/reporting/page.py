"""The report as one self-contained HTML file: no script, no font, no network.

Links to data files and manifests are relative, so they work on disk and in the service, which
serves the report and the files in the same folders. Links to runs, days and docs need the address
of the service.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from exporter_pipelines.contracts.export_attempts import ExportedRun
from exporter_pipelines.extras import require
from exporter_pipelines.reporting import charts
from exporter_pipelines.reporting.numbers import Report

RUNS_SHOWN = 100
DAYS_SHOWN = 62
WARNINGS_SHOWN = 3

_NONE = "\N{EN DASH}"
_REASON_CHARS = 240
_CHARTS, _END_OF_CHARTS = "<!-- charts -->", "<!-- end of charts -->"
_TO_EXPORTS = 'href="../'
_WORST_FIRST = ("running", "queued", "cancelled", "failed", "held", "published")


class Figure(NamedTuple):
    """A chart with its title and caption."""

    name: str
    title: str
    caption: str
    svg: str


def render(report: Report) -> str:
    """Render the page.

    Everything except the charts is escaped; the charts escape their own texts.

    Raises:
        MissingExtraError: The extra `report` is not installed.
    """
    require("report")
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, percent=percent, size=size, seconds=seconds, moment=moment
    )
    figures = [f._replace(svg=Markup(f.svg)) for f in _figures(report)]  # noqa: S704 - ours
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return environment.get_template(
        "report.html"
    ).render(
        report=report,
        figures=figures,
        style=Markup(style),  # noqa: S704 - ours
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        series={name: charts.series_of(n) for n, name in enumerate(report.datasets)},
        link=lambda path: f"{report.service}{path}" if report.service else None,
        duration_of=duration_of,
        reason_of=reason_of,
        runs=report.runs[:RUNS_SHOWN],
        days=list(report.states.items())[:DAYS_SHOWN],
        warnings_shown=WARNINGS_SHOWN,
        status_of=status_of,
        datasets_of=datasets_of,
        days_of=days_of,
        rows_of=rows_of,
    )


def one_folder_deeper(html: str) -> str:
    """The page for a folder below that of `report/index.html`."""
    return html.replace(_TO_EXPORTS, f"{_TO_EXPORTS}../")


def charts_of(html: str) -> str | None:
    """The legend and the figures of a rendered page; None if it has no charts."""
    _, _, after = html.partition(_CHARTS)
    found, end, _ = after.partition(_END_OF_CHARTS)
    return found if end else None


def _figures(report: Report) -> list[Figure]:
    if not report.states:
        return []
    span = f"{min(report.states)} to {max(report.states)}"
    bad = "; a cross marks a day that was held, failed or cancelled" if report.bad_days else ""
    by = f"by {charts.period_of(report)}"
    found = [
        Figure("volume", f"Volume {by}", f"Rows exported, {span}{bad}.", charts.volume(report)),
    ]
    if report.published:
        found += [
            Figure(
                "validity", f"Quality {by}", f"Percentage of valid rows, {span}.",
                charts.validity(report),
            ),
            Figure(
                "completeness", f"Completeness {by}",
                f"Percentage of values that are not null, {span}.",
                charts.completeness(report),
            ),
            Figure(
                "duration", f"Duration {by}", f"Seconds of staging, {span}.",
                charts.duration(report),
            ),
        ]  # fmt: skip
    if report.rejected_by_rule:
        caption = "Rejected rows of the published days; a row may break several rules."
        if (rules := len(report.rejected_by_rule)) > charts.RULES_SHOWN:
            caption += f" The {charts.RULES_SHOWN} of {rules} rules with the most rows."
        found.append(Figure("rules", "Rejected by rule", caption, charts.rejected_by_rule(report)))
    return found


def status_of(run: ExportedRun) -> str:
    """The most important status of a run."""
    found = {attempt.status for attempt in run.attempts}
    return next(status for status in _WORST_FIRST if status in found)


def datasets_of(run: ExportedRun) -> str:
    """The names of its datasets."""
    return ", ".join(dict.fromkeys(attempt.dataset for attempt in run.attempts))


def days_of(run: ExportedRun) -> str:
    """The day, or the first and the last one."""
    days = sorted({attempt.day for attempt in run.attempts})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def duration_of(run: ExportedRun) -> float | None:
    """Seconds from start to end; None while it runs."""
    return (run.ended_at - run.started_at).total_seconds() if run.ended_at else None


def reason_of(run: ExportedRun) -> str:
    """Why its first day was not published, and how many other days were not."""
    reasons = [
        f"{attempt.dataset} {attempt.day}: {attempt.reason}"
        for attempt in run.attempts
        if attempt.reason
    ]
    if not reasons:
        return ""
    first, others = reasons[0], len(reasons) - 1
    short = first if len(first) <= _REASON_CHARS else f"{first[:_REASON_CHARS].rstrip()} ..."
    return f"{short} And {others} more." if others else short


def rows_of(run: ExportedRun) -> int | None:
    """Rows that the run published; None if it published nothing."""
    rows = [attempt.rows for attempt in run.attempts if attempt.rows is not None]
    return sum(rows) if rows else None


def count(value: float | None) -> str:
    """`12,345`."""
    return _NONE if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """`99.30 %`; 100 and 0 are shown only if they are exact."""
    if value is None:
        return _NONE
    if value in (0, 100):
        return f"{value:.0f} %"
    return f"{min(max(value, 0.01), 99.99):.2f} %"


def size(value: float) -> str:
    """`1.2 MB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def seconds(value: float | None) -> str:
    """`0.4 s`, `3 min 20 s`."""
    if value is None:
        return _NONE
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(value: dt.datetime | None) -> str:
    """`2026-11-15 02:15 UTC`."""
    return _NONE if value is None else f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def preview(report: Report) -> str:
    """A Markdown table for the Dagster UI: numbers and dataset names only."""
    lines: list[Any] = ["| dataset | days | rows | rejected | size |", "|---|---:|---:|---:|---:|"]
    for line in report.by_dataset:
        lines.append(
            f"| {line.dataset} | {line.days} | {count(line.rows_exported)} | "
            f"{percent(line.rejected_pct)} | {size(line.storage.total_bytes)} |"
        )
    summary = ", ".join(
        f"{report.outcomes[status]} {status}"
        for status in ("published", "held", "failed", "cancelled")
        if report.outcomes[status]
    )
    return "\n".join([*lines, "", f"Exports to {report.last}: {summary or 'none yet'}."])
