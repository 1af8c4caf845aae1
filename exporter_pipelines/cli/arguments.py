"""Validation of arguments that several commands share."""

from __future__ import annotations

import click

from exporter_pipelines.doctor.configuration import names


def require_known(dataset: str | None) -> None:
    """Require that a dataset exists.

    Raises:
        click.UsageError: There is no dataset of this name.
    """
    if dataset is not None and dataset not in names():
        raise click.UsageError(
            f"The dataset {dataset!r} does not exist (there are: {', '.join(names()) or 'none'})."
        )
