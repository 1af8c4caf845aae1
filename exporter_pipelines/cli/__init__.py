"""The command `exporter`.

Belongs here: one module per command, with its options and its output.
Does not belong here: the work itself, which other packages do.
"""

from __future__ import annotations

import importlib

import click

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.process_memory import freeze_gc

_COMMANDS = {
    "init": "init:init",
    "doctor": "doctor:doctor",
    "export": "export:export",
    "verify": "verify:verify",
    "keep": "keep:keep",
    "accept-source": "sources:accept_source_command",
    "output": "output:output",
    "prune": "prune:prune",
    "alert-test": "alerts:alert_test",
    "serve": "serve:serve",
}
"""Name -> module and function."""


class _Commands(click.Group):
    """Imports a command only when it is used: most of them import Arrow, which takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, function = _COMMANDS[cmd_name].partition(":")
        imported = importlib.import_module(f"exporter_pipelines.cli.{module}")
        freeze_gc()
        command: click.Command = getattr(imported, function)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """End with one sentence where a setting is wrong before a command begins, as in `.env`."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from None


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Define, export, check, verify, keep and prune days, and test alerts."""
