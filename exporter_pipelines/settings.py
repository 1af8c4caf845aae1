"""The only reader of the environment.

Belongs here: every `EXPORTER_*` variable, with its default and its check.
Dagster loads the `.env` of the working directory, over the shell's own values, before anything here
is called; our own commands do the same through `load_dotenv`.
"""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

from dotenv import dotenv_values

from exporter_pipelines.errors import ConfigurationError, MissingSettingError

DEMO_SOURCE = "demo"
"""Value of a source URL that stands for the embedded sample backend."""

DEFAULT_START_DATE = "2026-11-01"
DEFAULT_TIMEZONE = "UTC"
DEFAULT_OUTPUT = "./exports"


def load_dotenv() -> list[str]:
    """Read the `.env` of the working directory as Dagster's commands do, over the shell's values.

    Returns:
        Names of the variables whose value the shell had otherwise; never a value.
    """
    file = Path(".env")
    found = dotenv_values(file) if file.exists() else {}
    values = {name: value for name, value in found.items() if value is not None}
    replaced = [name for name, value in values.items() if os.environ.get(name, value) != value]
    os.environ.update(values)
    return replaced


def start_date() -> str:
    """`EXPORTER_START_DATE`: the first day that can be exported, `YYYY-MM-DD`."""
    return _date("EXPORTER_START_DATE", DEFAULT_START_DATE)


def end_date() -> str | None:
    """`EXPORTER_END_DATE`: the first day that can no longer be exported; unset for no end."""
    return _date("EXPORTER_END_DATE", "") or None


def timezone() -> str:
    """`EXPORTER_TIMEZONE`: IANA zone whose midnights bound a day and in which schedules tick."""
    zone = os.environ.get("EXPORTER_TIMEZONE") or DEFAULT_TIMEZONE
    if zone not in _zones():
        raise ConfigurationError(
            f"EXPORTER_TIMEZONE={zone!r} is not an IANA time zone.",
            "Use a name such as UTC or Europe/Berlin.",
        )
    return zone


def output_root() -> Path:
    """`EXPORTER_OUTPUT_URL`: the folder that holds the exports, absolute.

    A `file://` URL or a path; a relative one counts from the working directory.
    """
    value = os.environ.get("EXPORTER_OUTPUT_URL") or DEFAULT_OUTPUT
    parts = urlsplit(value)
    if parts.scheme not in ("", "file") or parts.netloc:
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL has the scheme {parts.scheme!r}, which is not supported.",
            "Use a folder, as a path or as file:///absolute/path.",
        )
    return Path(unquote(parts.path) if parts.scheme else value).absolute()


def source_url(variable: str) -> str:
    """The database URL in the environment variable `variable`.

    Read when a run starts, so that a secret never becomes part of a definition. The value is
    never part of an error.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise MissingSettingError(
            f"The environment variable {variable} is not set.",
            "Put postgresql://user:password@host:5432/database, sqlite:////absolute/path.db or the "
            "word demo in it, in the shell or in .env.",
        )
    return value


def source_kind(variable: str) -> str | None:
    """Kind of database by the beginning of a URL: `postgres`, `sqlite`, or None when not set."""
    scheme = os.environ.get(variable, "").strip().partition(":")[0]
    kinds = {"postgresql": "postgres", "postgres": "postgres", DEMO_SOURCE: "postgres"}
    return {**kinds, "sqlite": "sqlite"}.get(scheme)


def demo_home() -> Path:
    """`EXPORTER_DEMO_HOME`: where the embedded sample backend keeps its files."""
    return Path(os.environ.get("EXPORTER_DEMO_HOME") or ".demo").absolute()


def dagster_home() -> str | None:
    """`DAGSTER_HOME` as it stands; Dagster wants it absolute."""
    return os.environ.get("DAGSTER_HOME") or None


@cache
def _zones() -> set[str]:
    """IANA names; asking for them reads a thousand files, 10 ms for each day of a range."""
    return available_timezones()


def _date(variable: str, default: str) -> str:
    value = os.environ.get(variable) or default
    try:
        return dt.date.fromisoformat(value).isoformat() if value else ""
    except ValueError:
        raise ConfigurationError(
            f"{variable}={value!r} is not a date.", "Write it as YYYY-MM-DD."
        ) from None
