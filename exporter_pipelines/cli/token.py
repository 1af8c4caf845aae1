"""`exporter token`: the tokens of the service, of which only hashes are stored."""

from __future__ import annotations

import datetime as dt
import re

import click

from exporter_pipelines import dotenv_file, service_settings
from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.service.principals import ROLES
from exporter_pipelines.service.tokens import add_token, read_tokens, revoke_token

_DAYS = re.compile(r"([1-9]\d{0,3})d")


@click.group()
def token() -> None:
    """Add, list and revoke the tokens of the service.

    The service reads the file of tokens again when it changes: no restart is needed.
    """


@token.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    required=True,
    help="What the token may do; may be repeated. See docs/service.md.",
)
@click.option("--expires", help="When it ends: 90d for 90 days, or a date. Default: never.")
def add(name: str, roles: tuple[str, ...], expires: str | None) -> None:
    """Make a token named NAME and print it once."""
    dotenv_file.load_dotenv()
    try:
        file = service_settings.tokens_file()
        made = add_token(file, name, frozenset(roles), _end(expires))
    except (ExporterError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Token of {name}, which is not shown again:", err=True)
    click.echo(made)


@token.command(name="list")
def list_() -> None:
    """List names, roles and ends. The tokens themselves are stored nowhere."""
    dotenv_file.load_dotenv()
    try:
        file = service_settings.tokens_file()
        tokens = read_tokens(file)
    except ExporterError as error:
        raise click.ClickException(str(error)) from None
    for each in tokens:
        end = f"expires {each.expires:%Y-%m-%d %H:%M} UTC" if each.expires else "does not expire"
        ended = "" if each.is_valid() else " (expired)"
        click.echo(f"{each.name}  {'+'.join(sorted(each.roles))}  {end}{ended}")
    if not tokens:
        click.echo(f"No tokens in {file}.")


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Remove the token named NAME, and end the sessions that began with it."""
    dotenv_file.load_dotenv()
    try:
        revoke_token(service_settings.tokens_file(), name)
    except (ExporterError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Revoked the token of {name}.")


def _end(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    now = dt.datetime.now(dt.UTC)
    if days := _DAYS.fullmatch(text):
        return now + dt.timedelta(days=int(days[1]))
    try:
        end = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
    except ValueError:
        raise ConfigurationError(
            f"--expires {text!r} is neither a number of days nor a date.",
            "Write 90d, or 2027-01-31.",
        ) from None
    if end <= now:
        raise ConfigurationError(f"--expires {text} is in the past.")
    return end
