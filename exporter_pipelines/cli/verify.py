"""`exporter verify`: the command; the checks are in `verification`."""

from __future__ import annotations

import datetime as dt
import json

import click

from exporter_pipelines import dotenv_file, settings
from exporter_pipelines.cli.verify_progress import VerifyDisplay
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store
from exporter_pipelines.verification.report import VerifyFinding
from exporter_pipelines.verification.run import Summary, selection_of
from exporter_pipelines.verification.run import verify as verify_all

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--day", type=_DAY, metavar="DAY", help="Verify only this day, YYYY-MM-DD.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="First day to verify.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Last day to verify.")
@click.option("--quick", is_flag=True, help="Check only names, sizes, modes and manifests.")
@click.option("--source", is_flag=True, help="Also compare with the current rows of the database.")
@click.option("--privacy", is_flag=True, help="Also search for identifiers in days with a policy.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(
    datasets: tuple[str, ...],
    day: dt.datetime | None,
    first: dt.datetime | None,
    last: dt.datetime | None,
    quick: bool,
    source: bool,
    privacy: bool,
    as_json: bool,
) -> None:
    """Read published days again and report differences from their manifests. Changes nothing.

    Checks the manifest of each day, size, sha256, rows and timestamps of its files, its rejected
    rows, file modes, and unexpected files. Without a DATASET, it verifies the whole output folder.
    It can run while exports run.

    \b
    Exit codes:
      0  no findings; warnings are allowed
      1  at least one finding
      2  something could not be checked, or the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    summary = Summary(output="")
    try:
        dotenv_file.load_dotenv()
        summary.output = open_store().location
        selection = selection_of(
            datasets,
            _key(day),
            _key(first),
            _key(last),
            quick=quick,
            source=source,
            privacy=privacy,
        )
        with VerifyDisplay(summary) as progress:
            for report in verify_all(selection, summary, progress.follow):
                for finding in () if as_json else report.findings:
                    progress.result(_line(finding, summary.output))
            if not quick:
                progress.doing = "comparing with Dagster's history"
                summary.notes += _history_notes(selection.datasets)
    except ExporterError as error:
        summary.errors.append(str(error))
    if as_json:
        click.echo(json.dumps(summary.as_json(), indent=2))
    else:
        for text in summary.errors:
            click.echo(f"Error: {text}", err=True)
        for text in summary.notes:
            click.echo(f"Note: {text}", err=True)
        click.echo(_summary(summary, quick=quick))
    raise SystemExit(summary.exit_code)


def _history_notes(datasets: tuple[str, ...]) -> list[str]:
    """Published days that only Dagster's history lacks. They are no findings."""
    if settings.dagster_home() is None:
        return ["DAGSTER_HOME is not set: the days were not compared with Dagster's history."]
    # Imported here, because Dagster takes a second to load.
    from exporter_pipelines.orchestration.upkeep.missing_in_history import missing_in_history

    store = open_store()
    try:
        missing = missing_in_history(store, datasets or store.datasets())
    except Exception as error:  # every storage has its own; the exports were verified
        kind = type(error.__cause__ or error).__name__
        return [f"Dagster's history cannot be read ({kind}): it was not compared."]
    return [
        f"Dagster's history does not have {len(days)} published days of {dataset}, from {days[0]} "
        f"to {days[-1]}. They are complete. To show them in the UI, export them again: exporter "
        f"export {dataset} {days[0]} {days[-1]}"
        for dataset, days in missing.items()
    ]


def _key(day: dt.datetime | None) -> str | None:
    return day.date().isoformat() if day else None


def _line(finding: VerifyFinding, output: str) -> str:
    subject = f"{finding.level}  {finding.dataset}  {finding.day or '-'}  {finding.kind}"
    where = output if finding.path == "." else finding.path
    return f"{subject}  {where} {finding.message}. {finding.hint}".rstrip()


def _summary(summary: Summary, *, quick: bool) -> str:
    seconds = max(summary.duration_s, 0.001)
    failed = sum(finding.level == "FAIL" for finding in summary.findings)
    megabytes = summary.size_bytes / 1e6
    if not summary.days and not summary.findings and not summary.errors:
        return f"No published days in {summary.output}: nothing to verify."
    rate = "checked" if quick else f"read, {megabytes / seconds:,.1f} MB/s"
    return (
        f"{_count(summary.days, 'day')} of {_count(summary.datasets, 'dataset')}, "
        f"{_count(summary.files, 'file')}, {_count(summary.rows, 'row')}, "
        f"{megabytes:,.1f} MB {rate}, {seconds:.1f} s: "
        f"{_count(failed, 'finding')} in {_count(summary.bad_days, 'day')}"
    )


def _count(number: int, what: str) -> str:
    """`1 day`, `1,002 days`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
