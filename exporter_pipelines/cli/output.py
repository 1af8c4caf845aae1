"""`exporter output`: accepts a moved, restored or new output, and tests it."""

from __future__ import annotations

from pathlib import Path

import click

from exporter_pipelines import dotenv_file, output_folder, settings
from exporter_pipelines.errors import ExporterError
from exporter_pipelines.stores.opening import open_store


@click.group()
def output() -> None:
    """The output folder of this project."""


@output.command()
def adopt() -> None:
    """Export to the folder in EXPORTER_OUTPUT_URL from now on.

    Exports refuse another folder than before, so that nothing is written below a disk that is not
    mounted. Run this after you moved the folder, restored it without its marker, or want to begin a
    new one. The exports in the folder stay as they are.

    \b
    Exit codes:
      0  success
      1  the folder, or DAGSTER_HOME, cannot be written
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    try:
        store = open_store()
        output_folder.remember(store)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    home = settings.dagster_home()
    if home is None or not Path(home).is_dir():
        marked = f"{store.location} has its marker."
        click.echo(f"{marked} DAGSTER_HOME is not a folder, so nothing else is kept.")
    else:
        click.echo(f"Exports go to {store.location} from now on.")


@output.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=25, show_default=True, help="Number of races."
)
def test(rounds: int) -> None:
    """Test the output for what exports rest on, above all a bucket.

    Several writers race for one object under conditions, a large object is written in parts, copied
    and read back, and listings are compared with what was written. Everything is below
    `.exporter-conditions/` and removed afterwards; exports are not touched.

    \b
    Exit codes:
      0  the output kept everything
      1  it did not, or cannot be written
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    try:
        store = open_store()
        for found in store.trial(rounds):
            click.echo(f"ok  {found}")
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
