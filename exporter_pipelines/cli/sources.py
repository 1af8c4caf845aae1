"""`exporter accept-source`: accepts that a dataset is exported from another database."""

from __future__ import annotations

import click

from exporter_pipelines import databases, dotenv_file, output_folder, settings
from exporter_pipelines.cli.arguments import require_known
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.defs_files import dataset_named
from exporter_pipelines.engine.same_source import accept_source
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store


@click.command("accept-source")
@click.argument("dataset")
def accept_source_command(dataset: str) -> None:
    """Accept the database that DATASET is read from now as its source.

    Use it after you moved the database to another server, or renamed it. Until then, the check
    `same_source` warns about each new day.

    \b
    Exit codes:
      0  success
      1  the database cannot be read, or the ledger cannot be written
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    require_known(dataset)
    try:
        definition = dataset_named(dataset)
        store = open_store()
        output_folder.require(store)
        store.adopt(dataset)
        window = DayWindow.of(settings.today().isoformat(), settings.timezone())
        with databases.open_session() as session, session.day(definition, window) as snapshot:
            identity = snapshot.identity
        sample = databases.is_sample(definition.config.source.url)
        is_new = accept_source(store, dataset, identity, sample=sample)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    what = "is accepted as the source" if is_new else "already is the accepted source"
    click.echo(
        f"The {identity.kind} database in {definition.config.source.url} {what} of {dataset}."
    )
