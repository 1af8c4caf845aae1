"""`exporter verify`: the command; what it does is in `verifying`."""

from __future__ import annotations

import datetime as dt
import json
import sys

import click

from exporter_pipelines import settings
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.verification.report import Finding, Report
from exporter_pipelines.verification.run import Summary, choice_of
from exporter_pipelines.verification.run import verify as verify_all

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--day", type=_DAY, metavar="DAY", help="Only this day, YYYY-MM-DD.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="From this day on.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Up to this day, included.")
@click.option("--quick", is_flag=True, help="Names, sizes, modes and manifests; read no data.")
@click.option("--source", is_flag=True, help="Compare keys and values with the database as it is.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def verify(
    datasets: tuple[str, ...],
    day: dt.datetime | None,
    first: dt.datetime | None,
    last: dt.datetime | None,
    quick: bool,
    source: bool,
    as_json: bool,
) -> None:
    """Read published days again and say what is not as it was exported; changes nothing.

    Every file's size, sha256, rows and times, the manifest, the rejected rows that it names,
    file modes, and names that should not be there. Without a DATASET, everything in the output
    folder. May run while exports do.

    \b
    Exit codes:
      0  all good; warnings are allowed
      1  at least one finding
      2  something could not be checked, or the command was used wrongly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    summary = Summary(output="")
    try:
        summary.output = str(settings.output_root())
        choice = choice_of(datasets, _key(day), _key(first), _key(last), quick=quick, source=source)
        for report in verify_all(choice, summary, _progress):
            if not as_json:
                _say(report)
    except ExporterError as error:
        summary.errors.append(str(error))
    _progress_ends()
    if as_json:
        click.echo(json.dumps(summary.as_json(), indent=2))
    else:
        for text in summary.errors:
            click.echo(f"Error: {text}", err=True)
        click.echo(_summary(summary, quick=quick))
    raise SystemExit(summary.exit_code)


def _key(day: dt.datetime | None) -> str | None:
    return day.date().isoformat() if day else None


def _say(report: Report) -> None:
    if report.findings:
        _progress_ends()
    for finding in report.findings:
        click.echo(_line(finding))


def _line(finding: Finding) -> str:
    subject = f"{finding.level}  {finding.dataset}  {finding.day or '-'}  {finding.kind}"
    return f"{subject}  {finding.path} {finding.message}. {finding.hint}".rstrip()


def _summary(summary: Summary, *, quick: bool) -> str:
    seconds = max(summary.duration_s, 0.001)
    failed = sum(finding.level == "FAIL" for finding in summary.findings)
    megabytes = summary.size_bytes / 1e6
    if not summary.days and not summary.findings and not summary.errors:
        return f"Nothing is published in {summary.output}, so there is nothing to verify."
    looked = "looked at" if quick else f"read, {megabytes / seconds:,.1f} MB/s"
    return (
        f"{summary.days:,} days of {summary.datasets} datasets, {summary.files:,} files, "
        f"{summary.rows:,} rows, {megabytes:,.1f} MB {looked}, {seconds:.1f} s: "
        f"{failed} findings in {summary.bad_days} days"
    )


def _progress(dataset: str, day: str, number: int, days: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{dataset} {day} ({number} of {days})", err=True, nl=False)


def _progress_ends() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
