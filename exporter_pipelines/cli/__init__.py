"""The command `exporter`.

Belongs here: one module per command, with its options and its output.
Does not belong here: the work itself, which other packages do.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click

from exporter_pipelines.errors import ConfigurationError
from exporter_pipelines.process_memory import freeze_gc, pause_gc


class _Entry(NamedTuple):
    """Where a command is, and the first sentence of its help."""

    module: str
    function: str
    help: str


_COMMANDS = {
    "init": _Entry("init", "init", "Write defs.yaml and schema.py for tables of your database."),
    "doctor": _Entry("doctor", "doctor", "Check everything that an export needs."),
    "export": _Entry(
        "export", "export",
        "Export days of datasets and presets: one day, or all days from FIRST to LAST.",
    ),
    "status": _Entry(
        "status", "status",
        "Show an export: its progress, the result of each day, and why days are not published.",
    ),
    "history": _Entry(
        "history", "history",
        "List the exports, newest first: of commands, schedules, the Dagster UI and the REST API.",
    ),
    "report": _Entry(
        "report", "report",
        "Write the export report and print its path: numbers, charts and history of all exports.",
    ),
    "download": _Entry(
        "download", "download",
        "Download the published days of DATASET from FIRST to LAST, with their manifests.",
    ),
    "verify": _Entry(
        "verify", "verify",
        "Read published days again and report differences from their manifests.",
    ),
    "keep": _Entry(
        "keep", "keep",
        "Keep the published exports of the held days of DATASET from FIRST to LAST.",
    ),
    "accept-source": _Entry(
        "sources", "accept_source_command",
        "Accept the database that DATASET is read from now as its source.",
    ),
    "output": _Entry("output", "output", "The output folder of this project."),
    "prune": _Entry(
        "prune", "prune", "Remove exports that are past the `retention` of their dataset."
    ),
    "erase": _Entry(
        "erase", "erase",
        "Erase a person, host or address from all exports, and keep it out of later ones.",
    ),
    "train-set": _Entry(
        "train_set", "train_set",
        "Build the training set NAME from the days that are published now.",
    ),
    "alert-test": _Entry(
        "alerts", "alert_test", "Send a test message to every receiver in EXPORTER_ALERT_URLS."
    ),
    "serve": _Entry(
        "serve", "serve", "Serve the Dagster UI, the REST API and the exports page until Ctrl-C."
    ),
    "token": _Entry("token", "token", "Add, list and revoke the tokens of the service."),
}  # fmt: skip


class _Commands(click.Group):
    """Imports a command only when it is used: most of them import Arrow, which takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        entry = _COMMANDS[cmd_name]
        pause_gc()
        imported = importlib.import_module(f"exporter_pipelines.cli.{entry.module}")
        freeze_gc()
        command: click.Command = getattr(imported, entry.function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands; click would import each of them for its help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in _COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse bytes that are no text: databases, messages and files cannot have them."""
        if any("\udc80" <= sign <= "\udcff" for argument in args for sign in argument):
            raise click.UsageError("An argument is not UTF-8.", ctx)
        return super().parse_args(ctx, args)

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
    """Define, export, check, verify, download, keep, prune, erase and serve days, test alerts."""
