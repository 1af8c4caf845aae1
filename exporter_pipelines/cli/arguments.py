"""What the arguments of several commands have in common."""

from __future__ import annotations

import click

from exporter_pipelines.doctor.configuration import names


def require_known(dataset: str | None) -> None:
    """Refuse the name of a dataset that is not there.

    Raises:
        click.UsageError: there is none of this name.
    """
    if dataset is not None and dataset not in names():
        raise click.UsageError(
            f"There is no dataset {dataset!r} (there are: {', '.join(names()) or 'none'})."
        )
