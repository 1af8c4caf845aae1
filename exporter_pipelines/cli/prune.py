"""`exporter prune`: the command; what may go is in `engine.retention`."""

from __future__ import annotations

import dataclasses
import json

import click

from exporter_pipelines import settings
from exporter_pipelines.catalog import read_dataset
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.doctor.configuration import names
from exporter_pipelines.engine.retention import Removal, plan, remove
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores import LocalStore


@click.command()
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
    require_known(dataset)
    store = LocalStore(settings.output_root())
    try:
        removals = [
            removal
            for name in ([dataset] if dataset else names())
            for removal in plan(store, read_dataset(name), settings.today())
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
