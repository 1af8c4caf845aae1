"""Validation of arguments that several commands share."""

from __future__ import annotations

import click

from exporter_pipelines.defs_files import exported_names


def require_known(dataset: str | None) -> None:
    """Require that a dataset exists.

    Raises:
        click.UsageError: There is no dataset of this name.
    """
    known = sorted(exported_names())
    if dataset is not None and dataset not in known:
        raise click.UsageError(
            f"The dataset {dataset!r} does not exist (there are: {', '.join(known) or 'none'})."
        )
