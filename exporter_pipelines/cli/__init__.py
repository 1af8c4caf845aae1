"""The command `exporter`: what is not Dagster's to do.

Belongs here: one module per command, its options, and how it prints what it found.
Does not belong here: what it does, which has rooms of its own; exports, which are started through
Dagster's own commands.
"""

from __future__ import annotations

import click

from exporter_pipelines.cli.alerts import alert_test
from exporter_pipelines.cli.doctor import doctor
from exporter_pipelines.cli.prune import prune
from exporter_pipelines.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Looks after the exports of a backend's data."""


for command in (doctor, verify, prune, alert_test):
    main.add_command(command)
