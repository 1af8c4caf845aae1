"""The command `exporter`: what is not Dagster's to do.

Exports themselves are started through Dagster's own commands.
"""

from __future__ import annotations

import dataclasses
import json

import click

from exporter_pipelines import settings
from exporter_pipelines.alerts.message import Message
from exporter_pipelines.alerts.receivers import open_receivers, send_all
from exporter_pipelines.catalog import dataset_named
from exporter_pipelines.cli_verify import verify
from exporter_pipelines.contracts.inspection import Finding
from exporter_pipelines.doctor import examine
from exporter_pipelines.doctor.configuration import names
from exporter_pipelines.engine.retention import Removal, plan, remove
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores import LocalStore


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Looks after the exports of a backend's data."""


main.add_command(verify)


@main.command()
@click.option("--dataset", metavar="NAME", help="Only this dataset, and what all share.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of findings, for programs.")
def doctor(dataset: str | None, as_json: bool) -> None:
    """Say what an export needs and what is amiss, without changing anything.

    Looks at the settings, the output folder, Dagster's storage and, for each dataset, at its
    database: connection, table, columns and their types, key, time column, index, first and last
    day, privileges. One line per finding: ok, warn (exports work, but look at it) or FAIL (they
    cannot work), the dataset or a dash, what was looked at, what was found and what to do. For a
    backend with other names it proposes the mapping, as YAML to paste.

    \b
    Exit codes:
      0  all well; warnings are allowed
      1  at least one FAIL
      2  the command was used wrongly
    """  # noqa: D301 - click wants the character itself
    replaced = settings.load_dotenv()
    _require_known(dataset)
    findings, width = [], max(map(len, names()), default=1)
    for finding in examine(dataset, replaced):
        findings.append(finding)
        if not as_json:
            click.echo(_line(finding, width))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(f) for f in findings], indent=2))
    else:
        click.echo(_summary(findings))
    raise SystemExit(any(finding.level == "FAIL" for finding in findings))


@main.command()
@click.option("--dataset", metavar="NAME", help="Only this dataset.")
@click.option("--apply", is_flag=True, help="Remove it; without, only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of removals, for programs.")
def prune(dataset: str | None, apply: bool, as_json: bool) -> None:
    """Remove exports that are past the `retention` of their dataset.

    Says what would go, and does nothing, unless --apply is given. A dataset without `retention`
    in its defs.yaml keeps everything. Each day leaves in one rename and leaves a tombstone,
    <dataset>/removed/date=<day>.json, that says what was removed, when, and by which rule. Its
    rejected rows go with it. Leftovers of killed runs are cleared as well.

    \b
    Exit codes:
      0  done, or nothing to do
      1  something could not be removed
      2  the command was used wrongly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    _require_known(dataset)
    store = LocalStore(settings.output_root())
    try:
        removals = [
            removal
            for name in ([dataset] if dataset else names())
            for removal in plan(store, dataset_named(name), settings.today())
        ]
        done = [removal for removal in removals if apply and remove(store, removal)]
        for name in {removal.dataset for removal in done}:
            store.reap(name)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(r) for r in removals], indent=2))
    else:
        _say_removals(removals, done, apply=apply)


@main.command("alert-test")
def alert_test() -> None:
    """Send a test message to every receiver in EXPORTER_ALERT_URLS, and say who took it.

    Receivers are called by their position and service; their URLs are secrets. See docs/alerts.md.

    \b
    Exit codes:
      0  all took it
      1  one did not, or there are none
      2  the command was used wrongly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    receivers = open_receivers(settings.alert_urls())
    if not receivers:
        raise click.ClickException(
            "EXPORTER_ALERT_URLS is empty. Put Apprise URLs there, in .env: see docs/alerts.md."
        )
    text = f"This is a test. Links will lead to {settings.ui_url()}."
    message = Message("[exporter] test", text, "success")
    problems = send_all({receiver: message for receiver in receivers if receiver.usable})
    for receiver in receivers:
        unusable = "is not a URL that Apprise knows"
        problem = problems[receiver] if receiver.usable else unusable
        click.echo(f"{receiver.label}  {problem or 'took the message'}")
    took = sum(problem is None for problem in problems.values())
    click.echo(f"{took} of {len(receivers)} receivers took the message.")
    raise SystemExit(took < len(receivers))


def _say_removals(removals: list[Removal], done: list[Removal], *, apply: bool) -> None:
    for removal in removals:
        verb = ("removed" if removal in done else "left alone, changed") if apply else "would go"
        rows = f", {removal.record_count:,} rows" if removal.record_count is not None else ""
        click.echo(
            f"{verb}  {removal.dataset} {removal.day} {removal.what}  "
            f"{removal.size_bytes:,} bytes{rows}  ({removal.reason})"
        )
    gone = done if apply else removals
    if not removals:
        click.echo("Nothing is past its retention.")
    else:
        days = sum(removal.what == "day" for removal in gone)
        verb = "removed" if apply else "would go; --apply removes them"
        click.echo(
            f"{days} days and {len(gone) - days} quarantines {verb}, "
            f"{sum(removal.size_bytes for removal in gone):,} bytes"
        )


def _require_known(dataset: str | None) -> None:
    if dataset is not None and dataset not in names():
        raise click.UsageError(
            f"There is no dataset {dataset!r} (there are: {', '.join(names()) or 'none'})."
        )


def _line(finding: Finding, width: int) -> str:
    """One line; the lines of a block to paste follow it."""
    subject = f"{finding.level:<4}  {finding.dataset or '-':<{width}}  {finding.check:<18}"
    return f"{subject}  {finding.message.rstrip('.')}. {finding.hint}".rstrip()


def _summary(findings: list[Finding]) -> str:
    levels = [finding.level for finding in findings]
    failed, warned = levels.count("FAIL"), levels.count("warn")
    return f"\n{failed} FAIL, {warned} warn, {levels.count('ok')} ok"
