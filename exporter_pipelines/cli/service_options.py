"""`--server` and `--token-file`: which service a command asks, and with which token.

A token is never an argument: other users of the machine see the arguments of a process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter_pipelines import settings
from exporter_pipelines.cli.exit_codes import (
    INTERRUPTED,
    NOT_PUBLISHED,
    UNREACHABLE,
    USAGE,
    exit_code_of,
)
from exporter_pipelines.errors import ConfigurationError, ExporterError, printable_lines

if TYPE_CHECKING:
    from exporter_pipelines.client import Client

_READABLE_BY_OTHERS = 0o004


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the two options."""
    server = click.option(
        "--server", metavar="URL", help="Address of the service. Default: EXPORTER_API_URL."
    )
    token_file = click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with the token for the service. Default: EXPORTER_API_TOKEN.",
    )
    return server(token_file(command))


def service_address(server: str | None) -> str | None:
    """The address of the service to ask; None when the command works on this machine.

    Raises:
        ConfigurationError: it cannot be used, or contains a token.
    """
    url = (server or "").strip() or settings.api_url()
    if url is None:
        return None
    from exporter_pipelines.client.address import checked_address  # imports httpx

    return checked_address(url, settings.api_token(), allow_http=True).url


@contextmanager
def opened_client(url: str, token_file: Path | None) -> Iterator[Client]:
    """A client for this address.

    Raises:
        ConfigurationError: the token cannot be read or sent.
    """
    from exporter_pipelines.client import Client  # imports httpx

    token = _read(token_file) if token_file else settings.api_token()
    with Client(url, token, allow_http=settings.api_allow_http()) as client:
        yield client


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """End the command with one sentence and the code of the error."""
    try:
        yield
    except ExporterError as error:
        click.echo(f"Error: {_message(error)}", err=True)
        raise SystemExit(code_of(error)) from None
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        raise SystemExit(INTERRUPTED) from None


def code_of(error: ExporterError) -> int:
    """The code of an error, also of one that the client raises."""
    from exporter_pipelines.client import (
        DownloadError,
        RequestRefusedError,
        ServiceFailedError,
        StateConflictError,
        TooManyRequestsError,
    )

    if isinstance(error, ServiceFailedError | TooManyRequestsError):
        return UNREACHABLE
    if isinstance(error, StateConflictError | DownloadError):
        return NOT_PUBLISHED
    return USAGE if isinstance(error, RequestRefusedError) else exit_code_of(error)


def _message(error: ExporterError) -> str:
    """The text of an error, for somebody who has typed a command and no JSON."""
    from exporter_pipelines.client import InvalidRequestError, TokenRefusedError

    if isinstance(error, InvalidRequestError) and error.problem.errors:
        return printable_lines(" ".join(error.problem.errors.values()))
    if isinstance(error, TokenRefusedError):
        return f"{error} For a command: set EXPORTER_API_TOKEN, or use --token-file."
    return str(error)


def _read(file: Path) -> str:
    try:
        with file.open() as opened:
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read(10_000)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"The token file {file} cannot be read: {reason.lower()}.", "Check --token-file."
        ) from None
    if mode & _READABLE_BY_OTHERS:
        raise ConfigurationError(
            f"The token file {file} can be read by all users of this machine.",
            f"Run: chmod 600 {file}",
        )
    if not token.strip():
        raise ConfigurationError(f"The token file {file} is empty.", "Check --token-file.")
    return token
