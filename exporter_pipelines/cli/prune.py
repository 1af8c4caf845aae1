"""`exporter prune`: the command; `engine.retention` decides what is removed."""

from __future__ import annotations

import dataclasses
import json

import click

from exporter_pipelines import settings
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.retention import Removal, plan, remove
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores import LocalStore


@click.command()
@click.option("--dataset", metavar="NAME", help="Prune only this dataset.")
@click.option("--apply", is_flag=True, help="Remove the exports; without it, only list them.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of removals.")
def prune(dataset: str | None, apply: bool, as_json: bool) -> None:
    """Remove exports that are past the `retention` of their dataset.

    Without --apply, it only lists what would be removed. A dataset without `retention` in its
    defs.yaml keeps everything. Each day is removed in one rename, together with its rejected rows.
    A record, <dataset>/removed/date=<day>.json, says what was removed, when, and by which rule.
    Leftovers of killed runs are removed as well.

    \b
    Exit codes:
      0  success, or nothing to remove
      1  something could not be removed, or a dataset is broken
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    require_known(dataset)
    definitions = Definitions()
    broken = [] if dataset else definitions.broken()
    store = LocalStore(settings.output_root())
    try:
        removals = [
            removal
            for each in ([definitions.named(dataset)] if dataset else definitions.usable())
            for removal in plan(store, each, settings.today())
        ]
        done = [removal for removal in removals if apply and remove(store, removal)]
        for name in {removal.dataset for removal in done}:
            store.clean_up(name)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(r) for r in removals], indent=2))
    else:
        _print_removals(removals, done, apply=apply)
    for definition, mistake in broken:
        click.echo(f"Error: {definition.name}: nothing is removed. {mistake}", err=True)
    raise SystemExit(bool(broken))


def _print_removals(removals: list[Removal], done: list[Removal], *, apply: bool) -> None:
    for removal in removals:
        verb = ("removed" if removal in done else "kept, changed") if apply else "would remove"
        rows = f", {removal.record_count:,} rows" if removal.record_count is not None else ""
        click.echo(
            f"{verb}  {removal.dataset} {removal.day} {removal.what}  "
            f"{removal.size_bytes:,} bytes{rows}  ({removal.reason})"
        )
    counted = done if apply else removals
    if not removals:
        click.echo("Nothing to remove: no export is past its retention.")
    else:
        days = sum(removal.what == "day" for removal in counted)
        verb = "removed" if apply else "would be removed with --apply"
        click.echo(
            f"{days} days and {len(counted) - days} quarantines {verb}, "
            f"{sum(removal.size_bytes for removal in counted):,} bytes"
        )
