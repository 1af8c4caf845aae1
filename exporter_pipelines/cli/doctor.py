"""`exporter doctor`: the command; the checks are in `doctor`."""

from __future__ import annotations

import dataclasses
import json

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.defs_files import Definitions, exported_names
from exporter_pipelines.doctor import DEFAULT_SECONDS, Broken, RowCheck, examine

_ALL_ROWS_S = 7 * 24 * 3600.0


@click.command()
@click.option(
    "--dataset",
    "datasets",
    metavar="NAME",
    multiple=True,
    help="Check only this dataset and the shared settings. Can be repeated.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, _ALL_ROWS_S),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="How long rows of a dataset are read at most; 0 for no rows.",
)
@click.option("--all-rows", is_flag=True, help="Read all rows, however long it takes.")
@click.option("--privacy", is_flag=True, help="Print a privacy policy for datasets without one.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(
    datasets: tuple[str, ...], seconds: float, all_rows: bool, privacy: bool, as_json: bool
) -> None:
    """Check everything that an export needs. Changes nothing.

    Checks the settings, the output folder, Dagster's storage and the database of each dataset:
    connection, table, columns and their types, key, time column, index, first and last day, rows,
    personal data, privileges. Prints one line per finding: level, dataset (or a dash), check,
    result, and what to do. The level is ok, warn (exports work, but should be improved) or FAIL
    (exports cannot work, or days would be held). If the backend uses other names, or its rows break
    rules, the doctor proposes settings as YAML to paste; with --privacy, a privacy policy as well.

    \b
    Exit codes:
      0  no FAIL; warnings are allowed
      1  at least one FAIL
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    replaced = dotenv_file.load_dotenv()
    for dataset in datasets:
        require_known(dataset)
    findings, width = [], max(map(len, exported_names()), default=1)
    rows = RowCheck(_ALL_ROWS_S if all_rows else seconds, privacy)
    for finding in examine(datasets, replaced, rows, _not_loaded):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding, width))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(f) for f in findings], indent=2))
    else:
        click.echo(_summary(findings, rows.basis))
    raise SystemExit(any(finding.level == "FAIL" for finding in findings))


def _not_loaded(definitions: Definitions) -> list[Broken]:
    from exporter_pipelines.definitions import not_loaded  # Dagster takes a second to import

    return not_loaded(definitions)


def _line(finding: Finding, width: int) -> str:
    """One line, followed by the lines of a proposed block."""
    subject = f"{finding.level:<4}  {finding.dataset or '-':<{width}}  {finding.check:<18}"
    return f"{subject}  {finding.message.rstrip('.')}. {finding.hint}".rstrip()


def _summary(findings: list[Finding], basis: dict[str, str]) -> str:
    """The number of findings of each level, and which rows they are based on."""
    levels = [finding.level for finding in findings]
    failed, warned = levels.count("FAIL"), levels.count("warn")
    read = "; ".join(f"{rows} of {name}" for name, rows in basis.items()) or "no rows"
    return f"\n{failed} FAIL, {warned} warn, {levels.count('ok')} ok. Read: {read}."
