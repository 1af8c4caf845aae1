"""`exporter train-set --server`: the service builds the set, this command follows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter_pipelines.cli.exit_codes import INTERRUPTED, NOT_PUBLISHED, PUBLISHED
from exporter_pipelines.cli.service_options import errors_as_exit_codes, opened_client
from exporter_pipelines.cli.train_set_lines import print_set
from exporter_pipelines.errors import printable, printable_lines

if TYPE_CHECKING:
    from exporter_pipelines.client import Client
    from exporter_pipelines.service.models import TrainingSetBuild


def run(name: str, url: str, token_file: Path | None, folder: Path | None) -> int:
    """Start the build, follow it, print what the set has, and return the exit code."""
    with errors_as_exit_codes(), opened_client(url, token_file) as client:
        build = client.build_training_set(name)
        click.echo(printable(f"Build {build.id} of {name} at {url}"), err=True)
        try:
            ended = build.wait()
        except KeyboardInterrupt:
            page = printable(f"{url}{_page(build.last)}")
            click.echo(f"\nInterrupted. The build goes on: {page}", err=True)
            return INTERRUPTED
        if ended.status != "completed":
            reason = ended.problem or f"The build was {ended.status}."
            click.echo(f"Error: {printable_lines(reason)}", err=True)
            return NOT_PUBLISHED
        _print(client, name)
        if folder:
            found = client.download_training_set(name, folder)
            click.echo(f"{found.folder}")
    return PUBLISHED


def _page(build: TrainingSetBuild | None) -> str:
    return build.links.dagster if build else ""


def _print(client: Client, name: str) -> None:
    found = client.training_set(name)
    print_set(
        {split: (each.examples, each.positives) for split, each in found.splits.items()},
        {str(day): reason for day, reason in found.left_out_days.items()},
        [f"a check warns: {sentence}" for sentence in found.warnings],
    )
    click.echo(printable(f"Version {found.version}"))
