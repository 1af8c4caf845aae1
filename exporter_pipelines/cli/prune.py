"""`exporter prune`: the command; `engine.prune` decides what is removed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import click

from exporter_pipelines import dotenv_file, output_folder, settings
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.engine.prune import Replaced, apply_prune, plan_prune
from exporter_pipelines.engine.retention import Removal
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store


@click.command()
@click.option(
    "--dataset",
    "datasets",
    metavar="NAME",
    multiple=True,
    help="Prune only this dataset. Can be repeated.",
)
@click.option("--apply", is_flag=True, help="Remove the exports; without it, only list them.")
@click.option("--force", is_flag=True, help="Remove them even if the prune is refused.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of removals.")
def prune(datasets: tuple[str, ...], apply: bool, force: bool, as_json: bool) -> None:
    """Remove exports that are past the `retention` of their dataset.

    Without --apply, it only lists what would be removed. A dataset without `retention` in its
    defs.yaml keeps everything. Each day is removed in one rename, together with its rejected rows.
    A record, <dataset>/removed/date=<day>.json, says what was removed, when, and by which rule.
    Leftovers of killed runs are removed as well.

    A prune is refused without --force if the clock is before the newest entry of the ledger or more
    than 30 days after it, or if it would remove more than 20 % and more than 7 days of a dataset.

    \b
    Exit codes:
      0  success, or nothing to remove
      1  refused, something could not be removed, or a dataset is broken
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    for dataset in datasets:
        require_known(dataset)
    definitions = Definitions()
    broken = [] if datasets else definitions.broken()
    store = open_store()
    now = dt.datetime.now(dt.UTC)
    try:
        output_folder.require(store)
        chosen = [definitions.named(name) for name in dict.fromkeys(datasets)]
        plans = [
            plan_prune(store, each, settings.today(), now)
            for each in chosen or definitions.usable()
        ]
        refused = [plan for plan in plans if plan.refused and not force]
        done = [
            removal
            for plan in plans
            if apply and plan not in refused
            for removal in apply_prune(store, plan)
        ]
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    removals = [removal for plan in plans for removal in plan.all()]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(r) for r in removals], indent=2))
    else:
        _print_removals(removals, done, apply=apply)
    for plan in refused:
        click.echo(
            f"{'Error' if apply else 'Warning'}: {plan.dataset}: the prune is refused: "
            f"{plan.refused}. If this is right, add --force.",
            err=True,
        )
    for definition, mistake in broken:
        click.echo(f"Error: {definition.name}: nothing is removed. {mistake}", err=True)
    raise SystemExit(bool(broken or (refused and apply)))


def _print_removals(
    removals: list[Removal | Replaced], done: list[Removal | Replaced], *, apply: bool
) -> None:
    for removal in removals:
        verb = ("removed" if removal in done else "kept") if apply else "would remove"
        click.echo(f"{verb}  {_described(removal)}  ({removal.reason})")
    if not removals:
        click.echo("Nothing to remove: no export is past its retention.")
        return
    counted = done if apply else removals
    parts = [removal for removal in counted if isinstance(removal, Removal)]
    days = sum(removal.what == "day" for removal in parts)
    verb = "removed" if apply else "would be removed with --apply"
    replaced = len(counted) - len(parts)
    more = f" and {replaced} replaced exports" if replaced else ""
    click.echo(
        f"{days} days and {len(parts) - days} quarantines{more} {verb}, "
        f"{sum(removal.size_bytes for removal in parts):,} bytes"
    )


def _described(removal: Removal | Replaced) -> str:
    if isinstance(removal, Replaced):
        return f"{removal.dataset} {removal.day} replaced export"
    rows = f", {removal.record_count:,} rows" if removal.record_count is not None else ""
    return f"{removal.dataset} {removal.day} {removal.what}  {removal.size_bytes:,} bytes{rows}"
