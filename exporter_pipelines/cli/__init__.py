"""The command `exporter`: everything that is not done through Dagster.

Belongs here: one module per command, with its options and its output.
Does not belong here: the work itself, which other packages do; exports, which the command
`dagster` starts.
"""

from __future__ import annotations

import click

from exporter_pipelines.cli.alerts import alert_test
from exporter_pipelines.cli.doctor import doctor
from exporter_pipelines.cli.init import init
from exporter_pipelines.cli.keep import keep
from exporter_pipelines.cli.output import output
from exporter_pipelines.cli.prune import prune
from exporter_pipelines.cli.sources import accept_source_command
from exporter_pipelines.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Define, check, verify, keep and prune exports, and test alerts."""


for command in (init, doctor, verify, keep, accept_source_command, output, prune, alert_test):
    main.add_command(command)
