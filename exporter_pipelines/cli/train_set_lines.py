"""What `exporter train-set` prints about a set, built here or by a service."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import click

from exporter_pipelines.errors import printable, printable_lines


def print_set(
    splits: Mapping[str, tuple[int, int]], left_out: Mapping[str, str], warnings: Iterable[str]
) -> None:
    """Print what a set has: examples and positive ones per split, days left out, warnings."""
    for split, (examples, positives) in splits.items():
        click.echo(f"  {printable(split):<11}{examples:>12,} examples {positives:>10,} positive")
    for day, reason in left_out.items():
        click.echo(f"  {day} is left out: {printable_lines(reason)}.")
    for warning in warnings:
        click.echo(f"  {printable_lines(warning)}", file=sys.stderr)
