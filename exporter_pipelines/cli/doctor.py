"""`exporter doctor`: the command; the checks are in `doctor`."""

from __future__ import annotations

import dataclasses
import json

import click

from exporter_pipelines import settings
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.defs_files import exported_names
from exporter_pipelines.doctor import examine


@click.command()
@click.option("--dataset", metavar="NAME", help="Check only this dataset and the shared settings.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of findings.")
def doctor(dataset: str | None, as_json: bool) -> None:
    """Check everything that an export needs. Changes nothing.

    Checks the settings, the output folder, Dagster's storage and the database of each dataset:
    connection, table, columns and their types, key, time column, index, first and last day,
    privileges. Prints one line per finding: level, dataset (or a dash), check, result, and what to
    do. The level is ok, warn (exports work, but should be improved) or FAIL (exports cannot work).
    If the backend uses other names, the doctor proposes a mapping as YAML to paste.

    \b
    Exit codes:
      0  no FAIL; warnings are allowed
      1  at least one FAIL
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    replaced = settings.load_dotenv()
    require_known(dataset)
    findings, width = [], max(map(len, exported_names()), default=1)
    for finding in examine(dataset, replaced):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding, width))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(f) for f in findings], indent=2))
    else:
        click.echo(_summary(findings))
    raise SystemExit(any(finding.level == "FAIL" for finding in findings))


def _line(finding: Finding, width: int) -> str:
    """One line, followed by the lines of a proposed block."""
    subject = f"{finding.level:<4}  {finding.dataset or '-':<{width}}  {finding.check:<18}"
    return f"{subject}  {finding.message.rstrip('.')}. {finding.hint}".rstrip()


def _summary(findings: list[Finding]) -> str:
    levels = [finding.level for finding in findings]
    failed, warned = levels.count("FAIL"), levels.count("warn")
    return f"\n{failed} FAIL, {warned} warn, {levels.count('ok')} ok"
