"""`exporter keep`: keeps the published exports of held days."""

from __future__ import annotations

import datetime as dt

import click

from exporter_pipelines import dotenv_file, output_folder, settings
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.kept_days import keep_days
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.stores.opening import open_store

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("dataset")
@click.argument("first", type=_DAY, metavar="FIRST")
@click.argument("last", type=_DAY, metavar="[LAST]", required=False)
def keep(dataset: str, first: dt.datetime, last: dt.datetime | None) -> None:
    """Keep the published exports of the held days of DATASET from FIRST to LAST.

    The source has lost rows of these days, and the published exports are to stay. The days become
    green in the Dagster UI, and their alert ends. They are skipped until the source changes again.
    Days in between that are not held are left alone.

    \b
    Exit codes:
      0  success, also if no day in the range is held
      1  a held day has no published export, or something cannot be written
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    require_known(dataset)
    try:
        store = open_store()
        output_folder.require(store)
        days = _days(first.date(), (last or first).date())
        kept = [entry.day or "" for entry in keep_days(store, dataset, days)]
        recorded = _record(store, dataset, kept)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    if not kept:
        click.echo(f"No day of {dataset} from {days[0]} to {days[-1]} is held: nothing to keep.")
        return
    click.echo(f"Kept {len(kept)} published days of {dataset}: {', '.join(kept)}.")
    if not recorded:
        click.echo("DAGSTER_HOME is not set, so the Dagster UI shows the days as before.")


def _record(store: Store, dataset: str, days: list[str]) -> bool:
    """Record the kept days in Dagster's history; False when there is none."""
    if settings.dagster_home() is None:
        return False
    if days:
        # Imported here, because Dagster takes a second to load.
        from exporter_pipelines.orchestration.upkeep.kept_days import record_kept_days

        record_kept_days(store, dataset, days)
    return True


def _days(first: dt.date, last: dt.date) -> list[str]:
    if last < first:
        raise ConfigurationError(f"The last day {last} is before the first day {first}.")
    return [str(first + dt.timedelta(days=n)) for n in range((last - first).days + 1)]
