"""The results of an export that the service knows, in the words of `exporter export`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import click

from exporter_pipelines.cli.exit_codes import NOT_PUBLISHED, OUT_OF_REACH, PUBLISHED, UNREACHABLE
from exporter_pipelines.cli.export_progress import progress_line
from exporter_pipelines.cli.problem_lines import problem_lines
from exporter_pipelines.contracts import progress as numbers
from exporter_pipelines.errors import printable, printable_lines
from exporter_pipelines.service.models import Export, ExportSummary, Result

ENDED = frozenset({"completed", "held", "failed", "cancelled"})


def exit_code(export: Export) -> int:
    """0 for one that is completed or still runs; as `exporter export` otherwise."""
    if export.status not in ENDED or export.status == "completed":
        return PUBLISHED
    out_of_reach = any(each.docs_entry in OUT_OF_REACH for each in export.results)
    return UNREACHABLE if out_of_reach else NOT_PUBLISHED


def count(export: ExportSummary, *states: str) -> int:
    """How many days are in one of these states."""
    return sum(number for state, number in export.days.items() if state in states)


def progress_of(export: Export) -> numbers.Progress:
    """The numbers of an export, as the progress line has them."""
    return numbers.Progress(
        dataset=export.current_dataset or "",
        day=str(export.current_day or ""),
        days=sum(export.days.values()),
        ended=count(export, "published", "held", "failed", "cancelled"),
        rows_ended=export.rows_exported,
        batch=export.current_batch or 0,
        batches=export.total_batches_estimate or 0,
        rows_per_s=export.rows_per_s or 0.0,
        share=export.progress_pct / 100,
        eta_s=export.eta_s,
    )


def look_at(export: Export) -> tuple[float, str]:
    """The share that is done, and the progress line."""
    now, problems = progress_of(export), count(export, "held", "failed")
    return now.share, printable(progress_line(now, "waiting to run", problems))


def results_of(export: Export, order: Sequence[str] = ()) -> Iterator[str]:
    """A line per dataset, the days with a problem, and where to read about them.

    Args:
        export: With its results.
        order: Names of datasets that come first.
    """
    found = dict.fromkeys(each.dataset for each in export.results)
    datasets = dict.fromkeys([name for name in order if name in found] + [*found])
    width = max(map(len, datasets), default=0)
    by_dataset = {
        name: [each for each in export.results if each.dataset == name] for name in datasets
    }
    for name, results in by_dataset.items():
        if results:
            yield f"{name:<{width}}  {_counts(results)}"
    for name, results in by_dataset.items():
        problems = [(str(each.day), each.problem) for each in results if each.problem]
        yield from problem_lines(name, problems)
    if not any(each.problem for each in export.results):
        yield from export.errors
    if export.more_results:  # the service was not asked for them: the command was interrupted
        yield f"{export.more_results:,} more days: exporter status {export.id}"
    anchors = dict.fromkeys(each.docs_entry for each in export.results if each.docs_entry)
    if anchors:
        yield f"See {', '.join(f'docs/failures.md#{anchor}' for anchor in anchors)}"


def print_results(export: Export, order: Sequence[str] = ()) -> None:
    """Print them."""
    for line in results_of(export, order):
        click.echo(printable_lines(line))


def states_to_repeat(export: Export) -> str:
    """What `--only` exports again: `missing,held`; empty when every day is published."""
    held = any(each.status == "held" for each in export.results)
    states = [
        "missing" if count(export, "cancelled", "pending") else "",
        "held" if held else "",
        "failed" if any(each.status == "failed" for each in export.results) else "",
    ]
    return ",".join(filter(None, states))


def _counts(results: list[Result]) -> str:
    """`13 of 14 days published, 1 held; 25,987 rows, 412 rejected, 1.2 MB`, as `export_summary`."""
    states = Counter(each.status for each in results)
    done = [each for each in results if each.status == "published"]
    others = {
        "held": states["held"],
        "failed": states["failed"],
        "running": states["running"],
        "waiting": states["pending"],
        "not tried": states["cancelled"],
    }
    bad = "".join(f", {number} {what}" for what, number in others.items() if number)
    days = f"{len(done)} of {len(results)} days published{bad}"
    if not done:
        return days
    rows = sum(each.rows_exported or 0 for each in done)
    rejected = sum(each.rows_rejected or 0 for each in done)
    megabytes = sum(each.size_bytes or 0 for each in done) / 1e6
    return f"{days}; {rows:,} rows, {rejected:,} rejected, {megabytes:,.1f} MB"
