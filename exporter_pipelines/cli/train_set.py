"""`exporter train-set`: builds a training set from published days."""

from __future__ import annotations

import sys

import click

from exporter_pipelines import settings
from exporter_pipelines.errors import ExporterError


@click.command("train-set")
@click.argument("name")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Never changes the files.",
)
def train_set(name: str, threads: int) -> None:
    """Build the training set NAME from the days that are published now.

    Nothing is built when the newest version was built from the same days with the same settings.
    Dagster's history does not show it; materialize the asset for that.

    \b
    Exit codes:
      0  success, also if nothing had to be built
      1  a check holds the set, or it cannot be built; the version before it stays
      2  the command was used incorrectly
    """  # noqa: D301 - click wants the character itself
    settings.load_dotenv()
    # Imported here: DuckDB belongs to an extra, and Arrow takes a second to load.
    from exporter_pipelines import api

    try:
        built = api.build_training_set(name, threads=threads)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    if built.unchanged:
        click.echo(f"{name} is up to date: the same days and settings gave this version before.")
    for split, summary in built.manifest.splits.items():
        click.echo(f"  {split:<11}{summary.rows:>12,} examples {summary.positives:>10,} positive")
    for day, reason in built.manifest.left_out_days.items():
        click.echo(f"  {day} is left out: {reason}.")
    for check in built.manifest.checks:
        if not check.passed:
            click.echo(f"  {check.check} warns: {check.sentence}", file=sys.stderr)
    click.echo(f"{built.folder}")
