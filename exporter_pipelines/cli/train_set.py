"""`exporter train-set`: builds a training set from published days, here or by a service."""

from __future__ import annotations

from pathlib import Path

import click

from exporter_pipelines import dotenv_file
from exporter_pipelines.cli.exit_codes import exit_code_of
from exporter_pipelines.cli.service_options import (
    errors_as_exit_codes,
    service_address,
    service_options,
)
from exporter_pipelines.cli.train_set_lines import print_set
from exporter_pipelines.errors import (
    ExporterError,
    MissingSettingError,
    OutputUnavailableError,
    UnknownNameError,
)


@click.command("train-set")
@click.argument("name")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=None,
    help="Default: 1. More take more memory and less time, and never change the files.",
)
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="With a service: download the set into this folder.",
)  # fmt: skip
@service_options
def train_set(
    name: str,
    threads: int | None,
    folder: Path | None,
    server: str | None,
    token_file: Path | None,
) -> None:
    """Build the training set NAME from the days that are published now.

    Nothing is built when the newest version was built from the same days with the same settings.
    With --server or EXPORTER_API_URL, the service builds it, and Dagster's history shows it.
    Without, Dagster's history does not show it; materialize the asset for that.

    \b
    Exit codes:
      0    success, also if nothing had to be built
      1    a check holds the set, or it cannot be built; the version before it stays
      2    the command was used incorrectly, the token may not do this, or a setting is wrong
      3    the output folder or the service cannot be reached
      130  interrupted; a build by the service goes on
    """  # noqa: D301 - click wants the character itself
    dotenv_file.load_dotenv()
    with errors_as_exit_codes():
        url = service_address(server)
    if url is None:
        if folder:
            raise click.UsageError(
                "--output needs --server: a set built here is in EXPORTER_OUTPUT_URL."
            )
        _build_here(name, threads or 1)
        return
    if threads:
        raise click.UsageError("--threads is not available with --server.")
    from exporter_pipelines.cli import train_set_remote

    raise SystemExit(train_set_remote.run(name, url, token_file, folder))


def _build_here(name: str, threads: int) -> None:
    # Imported here: DuckDB belongs to an extra, and Arrow takes a second to load.
    from exporter_pipelines import api

    try:
        built = api.build_training_set(name, threads=threads)
    except (UnknownNameError, MissingSettingError, OutputUnavailableError) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(exit_code_of(error)) from None
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    if built.unchanged:
        click.echo(f"{name} is up to date: the same days and settings gave this version before.")
    manifest = built.manifest
    print_set(
        {split: (summary.rows, summary.positives) for split, summary in manifest.splits.items()},
        manifest.left_out_days,
        [f"{each.check} warns: {each.sentence}" for each in manifest.checks if not each.passed],
    )
    click.echo(built.location)
