"""The only reader of the environment.

Belongs here: every `EXPORTER_*` variable, with its default and its check.
Before anything here is called, Dagster loads the `.env` of the working directory, which overrides
the shell. Our own commands do the same with `load_dotenv`.
"""

from __future__ import annotations

import datetime as dt
import io
import math
import os
import re
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values

from exporter_pipelines.errors import ConfigurationError, MissingSettingError

DEMO_SOURCE = "demo"
"""Value of a source URL that selects the embedded sample backend."""

DEFAULT_START_DATE = "2026-11-01"
DEFAULT_TIMEZONE = "UTC"
DEFAULT_OUTPUT = "./exports"
DEFAULT_MAX_DAYS = 366
MOST_READERS = 256
DEFAULT_PART_MIB = 16
BUCKET_URLS = ("s3://", "gs://", "az://")
"""What EXPORTER_OUTPUT_URL begins with if the exports are in a bucket."""

DOTENV_WINS = ".env overrides the shell for"
DOTENV_HINT = "Change .env, or remove the line there."
_announced: set[str] = set()


def load_dotenv() -> list[str]:
    """Load the `.env` of the working directory as Dagster does: its values override the shell's.

    Says on stderr which variables had another value in the shell.

    Returns:
        Names of these variables; never a value.

    Raises:
        ConfigurationError: the file is not in UTF-8, or this user may not read it.
    """
    values = dotenv()
    replaced = [name for name, value in values.items() if os.environ.get(name, value) != value]
    os.environ.update(values)
    _announce(replaced)
    return replaced


def announce_dotenv_of_dagster() -> None:
    """Say on stderr which variables Dagster has replaced by those of `.env`.

    Dagster does so before it loads any code of a project, so the values of the shell are only in
    Linux's record of this process. Processes that Dagster starts get the replaced values at once,
    and say nothing.
    """
    try:
        began_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # another operating system
        return
    shell = dict(entry.split("=", 1) for entry in map(os.fsdecode, began_with) if "=" in entry)
    _announce([
        name
        for name, value in dotenv().items()
        if shell.get(name, value) != value == os.environ.get(name)
    ])  # fmt: skip


def dotenv() -> dict[str, str]:
    """The variables of the `.env` of the working directory, as Dagster reads them.

    Raises:
        ConfigurationError: the file is not in UTF-8, or this user may not read it.
    """
    file = Path(".env").absolute()
    if not file.is_file() and not file.is_fifo():
        return {}
    found = dotenv_values(stream=io.StringIO(_text_of(file), newline=None))
    return {name: value for name, value in found.items() if value is not None}


def _text_of(file: Path) -> str:
    try:
        content = file.read_bytes()  # once: it may be a pipe of a password manager
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {(error.strerror or type(error).__name__).lower()}.",
            "Give this user permission to read it.",
        ) from None
    bad = [place] if (place := content.find(b"\0")) >= 0 else []
    text = ""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        bad.append(error.start)
    if bad:
        line, byte = content.count(b"\n", 0, min(bad)) + 1, content[min(bad)]
        raise ConfigurationError(
            f"{file} is not UTF-8 text: line {line} has the byte 0x{byte:02x}.",
            "Save the file as UTF-8.",
        )
    return text


def _announce(replaced: list[str]) -> None:
    """Once per process and variable: a command may load `.env` itself and then Dagster's code."""
    names = [name for name in replaced if name not in _announced]
    if names:
        _announced.update(names)
        sys.stderr.write(f"{DOTENV_WINS} {', '.join(names)}. {DOTENV_HINT}\n")


def origin(variable: str) -> str:
    """Where a variable is set, for messages: the path of `.env`, or the environment."""
    return str(Path(".env").absolute()) if variable in dotenv() else "the environment"


def start_date() -> str:
    """`EXPORTER_START_DATE`: the first day that can be exported, `YYYY-MM-DD`."""
    return _date("EXPORTER_START_DATE", DEFAULT_START_DATE)


def end_date() -> str | None:
    """`EXPORTER_END_DATE`: the first day that can no longer be exported; unset for no end."""
    return _date("EXPORTER_END_DATE", "") or None


def timezone() -> str:
    """`EXPORTER_TIMEZONE`: IANA zone whose midnights bound a day and in which schedules run."""
    zone = _value("EXPORTER_TIMEZONE") or DEFAULT_TIMEZONE
    if zone not in _zones():
        raise ConfigurationError(
            f"EXPORTER_TIMEZONE={zone!r} is not an IANA time zone.",
            "Use a name such as UTC or Europe/Berlin.",
        )
    return zone


def max_days() -> int:
    """`EXPORTER_MAX_DAYS`: most days that one run exports of a dataset."""
    value = _value("EXPORTER_MAX_DAYS") or str(DEFAULT_MAX_DAYS)
    return _whole_number("EXPORTER_MAX_DAYS", value)


def backfill_days_per_run() -> int | None:
    """`EXPORTER_BACKFILL_DAYS_PER_RUN`: days of a run of a backfill; None for a single run."""
    value = _value("EXPORTER_BACKFILL_DAYS_PER_RUN")
    if not value:
        return None
    if (days := _whole_number("EXPORTER_BACKFILL_DAYS_PER_RUN", value)) > max_days():
        raise ConfigurationError(
            f"EXPORTER_BACKFILL_DAYS_PER_RUN={days} is more than EXPORTER_MAX_DAYS={max_days()}, "
            "so each of these runs would fail.",
            "Choose fewer days for each run, or increase EXPORTER_MAX_DAYS.",
        )
    return days


def readers() -> int:
    """`EXPORTER_READERS`: most processes that read the slices of a day at once."""
    value = _value("EXPORTER_READERS") or "1"
    number = int(value) if value.isascii() and value.isdigit() else 0
    if not 1 <= number <= MOST_READERS:
        raise ConfigurationError(
            f"EXPORTER_READERS={value!r} is not a whole number from 1 to {MOST_READERS}."
        )
    return number


def today() -> dt.date:
    """Today's date in EXPORTER_TIMEZONE."""
    return dt.datetime.now(ZoneInfo(timezone())).date()


def output_url() -> str:
    """`EXPORTER_OUTPUT_URL`: where the exports are.

    The absolute path of a folder, see `output_root`; or a URL of a bucket, `s3://bucket/prefix`,
    which `stores` checks. No other text has `://` in it.
    """
    value = _value("EXPORTER_OUTPUT_URL")
    return value if value.startswith(BUCKET_URLS) else str(output_root())


def output_root() -> Path:
    """`EXPORTER_OUTPUT_URL` as a folder: its absolute path.

    A `file://` URL or a path; a relative path starts at the working directory, and `~` is the home
    folder.
    """
    value = _value("EXPORTER_OUTPUT_URL") or DEFAULT_OUTPUT
    scheme, separator, _ = value.partition("://")
    if separator and scheme != "file" and re.fullmatch(r"\w[\w+.-]*", scheme):
        raise ConfigurationError(  # without the value: it may have credentials
            f"EXPORTER_OUTPUT_URL has the scheme {scheme!r}, which is not supported here.",
            "Use a folder, as a path or as file:///absolute/path, or a bucket: s3://bucket/prefix, "
            "gs://bucket/prefix or az://container/prefix.",
        )
    if odd := re.search(r"\$\w+|[\u2018-\u201d]", value):
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL={value!r} contains {odd[0]!r}, which is not replaced.",
            "Write the folder itself. In .env, ${HOME} with braces is replaced.",
        )
    parts = urlsplit(value)
    if parts.scheme not in ("", "file") or parts.netloc:
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL has the scheme {parts.scheme!r}, which is not supported.",
            "Use a folder, as a path or as file:///absolute/path.",
        )
    return _path("EXPORTER_OUTPUT_URL", unquote(parts.path) if parts.scheme else value)


def output_endpoint() -> str | None:
    """`EXPORTER_OUTPUT_ENDPOINT`: URL of a server with buckets other than the cloud's own."""
    return _value("EXPORTER_OUTPUT_ENDPOINT") or None


def output_view() -> bool:
    """`EXPORTER_OUTPUT_VIEW`: whether published files are copied to names for globs in a bucket."""
    value = _value("EXPORTER_OUTPUT_VIEW") or "copy"
    if value not in ("copy", "none"):
        raise ConfigurationError(f"EXPORTER_OUTPUT_VIEW={value!r} is neither copy nor none.")
    return value == "copy"


def output_part_bytes() -> int:
    """`EXPORTER_OUTPUT_PART_MIB`: bytes of the parts in which large files reach a bucket."""
    value = _value("EXPORTER_OUTPUT_PART_MIB") or str(DEFAULT_PART_MIB)
    number = int(value) if value.isascii() and value.isdigit() else 0
    if not 5 <= number <= 4096:
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_PART_MIB={value!r} is not a whole number from 5 to 4096."
        )
    return number * 1024**2


def source_url(variable: str) -> str:
    """The database URL in the environment variable `variable`.

    It is read when a run starts, so that a secret never becomes part of a definition. Errors never
    contain the value.
    """
    value = _value(variable)
    if not value:
        raise MissingSettingError(
            f"The environment variable {variable} is not set.",
            "Set it in .env to postgresql://user:password@host:5432/database, "
            "sqlite:////absolute/path.db or the word demo.",
        )
    return value


def privacy_key(name: str) -> str:
    """The text of a privacy key: of an environment variable, or of a file (`file:/path`).

    Errors never contain it.
    """
    if name.startswith("file:"):
        return _text_of(Path(name.removeprefix("file:"))).strip()
    if value := _value(name):
        return value
    raise MissingSettingError(
        f"The environment variable {name} is not set, and the privacy policy needs its key.",
        "Set it to at least 32 random bytes in base64: head -c 32 /dev/urandom | base64",
    )


def privacy_keys(name: str) -> list[str]:
    """The texts of a privacy key that are set: the key, then those that it had before.

    Old keys (`previous_name`) only serve to recognise what was written under them. Empty if not
    even the key is set; errors never contain a key.
    """
    texts = []
    for each in (name, previous_name(name)):
        if each.startswith("file:"):
            path = Path(each.removeprefix("file:"))
            texts += _text_of(path).split() if path.exists() else []
        else:
            texts += _value(each).split()
    return texts


def previous_name(name: str) -> str:
    """Where the keys are that a privacy key had before, separated by spaces or in lines."""
    return f"{name}.previous" if name.startswith("file:") else f"{name}_PREVIOUS"


def postgres_driver() -> str | None:
    """`EXPORTER_POSTGRES_DRIVER`: path of another ADBC driver, which `sources` checks."""
    return _value("EXPORTER_POSTGRES_DRIVER") or None


def demo_home() -> Path:
    """`EXPORTER_DEMO_HOME`: where the embedded sample backend keeps its files."""
    return _path("EXPORTER_DEMO_HOME", _value("EXPORTER_DEMO_HOME") or ".demo")


def dagster_home() -> str | None:
    """`DAGSTER_HOME` as set; Dagster requires an absolute path."""
    return os.environ.get("DAGSTER_HOME") or None


@cache
def _zones() -> set[str]:
    """IANA names; cached, since listing them reads a thousand files (10 ms per day of a range)."""
    return available_timezones()


def alert_urls() -> list[str]:
    """`EXPORTER_ALERT_URLS`: Apprise URLs of the receivers of alerts; each is a secret."""
    value = _value("EXPORTER_ALERT_URLS")
    # A comma may also be part of a URL; between two of them a scheme follows it.
    return [url for url in re.split(r"\s+|,+\s*(?=[A-Za-z][\w+.-]*://)", value) if url.strip(",")]


def alert_heartbeat_url() -> str | None:
    """`EXPORTER_ALERT_HEARTBEAT_URL`: pinged at each tick while alerting is healthy; a secret."""
    value = _value("EXPORTER_ALERT_HEARTBEAT_URL")
    if value and not value.startswith(("http://", "https://")):
        raise ConfigurationError(
            "EXPORTER_ALERT_HEARTBEAT_URL does not begin with http:// or https://.",
            "Its value is not shown, since it may be a secret.",
        )
    return value or None


def ui_url() -> str:
    """`EXPORTER_UI_URL`: address of the Dagster UI, for links; without a trailing slash."""
    return service_url() or "http://127.0.0.1:3000"


def service_url() -> str | None:
    """`EXPORTER_UI_URL` if it is set; None if the address of the service is not known."""
    return _value("EXPORTER_UI_URL").rstrip("/") or None


def api_url() -> str | None:
    """`EXPORTER_API_URL`: address of the service that commands ask; None for none."""
    return _value("EXPORTER_API_URL") or None


def api_token() -> str | None:
    """`EXPORTER_API_TOKEN`: sent to the service; a secret."""
    return _value("EXPORTER_API_TOKEN") or None


def api_allow_http() -> bool:
    """`EXPORTER_API_ALLOW_HTTP`: whether the token may go over an unencrypted connection."""
    value = _value("EXPORTER_API_ALLOW_HTTP") or "0"
    if value not in ("0", "1"):
        raise ConfigurationError(f"EXPORTER_API_ALLOW_HTTP={value!r} is neither 0 nor 1.")
    return value == "1"


def lead_links_to(url: str) -> None:
    """Let links in alerts of this process and its children lead to `url` by default."""
    if not _value("EXPORTER_UI_URL"):
        os.environ["EXPORTER_UI_URL"] = url


def alert_rejected_pct() -> float | None:
    """`EXPORTER_ALERT_REJECTED_PCT`: percent; None for each dataset's own `max_rejected_pct`."""
    value = _value("EXPORTER_ALERT_REJECTED_PCT")
    return _number("EXPORTER_ALERT_REJECTED_PCT", value) if value else None


def alert_slow_factor() -> float:
    """`EXPORTER_ALERT_SLOW_FACTOR`: an export is slow above this multiple of the usual row time."""
    value = _value("EXPORTER_ALERT_SLOW_FACTOR") or "3"
    return _number("EXPORTER_ALERT_SLOW_FACTOR", value)


def alert_slow_min_seconds() -> float:
    """`EXPORTER_ALERT_SLOW_MIN_SECONDS`: faster exports are never reported as slow."""
    value = _value("EXPORTER_ALERT_SLOW_MIN_SECONDS") or "60"
    return _number("EXPORTER_ALERT_SLOW_MIN_SECONDS", value)


def alert_missing_after_minutes() -> float:
    """`EXPORTER_ALERT_MISSING_AFTER_MINUTES`: after a schedule's tick, its day is then missing."""
    value = _value("EXPORTER_ALERT_MISSING_AFTER_MINUTES") or "120"
    return _number("EXPORTER_ALERT_MISSING_AFTER_MINUTES", value)


def alert_min_free_gib() -> float:
    """`EXPORTER_ALERT_MIN_FREE_GIB`: alert when the output folder has less free space."""
    value = _value("EXPORTER_ALERT_MIN_FREE_GIB") or "5"
    return _number("EXPORTER_ALERT_MIN_FREE_GIB", value)


def text(variable: str) -> str:
    """A variable of `service_settings`; empty if it is not set."""
    return _value(variable)


def defs_folder() -> Path | None:
    """`EXPORTER_DEFS_DIR`: the folder of the definitions; None for `defs/` of the package."""
    value = _value("EXPORTER_DEFS_DIR")
    if not value:
        return None
    folder = _path("EXPORTER_DEFS_DIR", value)
    if not folder.is_dir():
        raise ConfigurationError(
            f"EXPORTER_DEFS_DIR={value!r} is not a folder.",
            "Create it, and move the folders of your datasets there: docs/deployment.md.",
        )
    return folder


def path(variable: str, default: str) -> Path:
    """An absolute path of `service_settings`."""
    return _path(variable, _value(variable) or default)


def _value(variable: str) -> str:
    """A variable without white space around it, which a file of secrets often ends with."""
    return os.environ.get(variable, "").strip()


def _path(variable: str, value: str) -> Path:
    """An absolute path; `~` and `~name` are home folders."""
    if not value.startswith("~"):  # Path drops the dot of ./~
        return Path(value).absolute()
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{variable}={value!r} begins with the home folder of a user who is not known.",
            "Write an absolute path, or ./ before a name that begins with ~.",
        ) from None


def _whole_number(variable: str, value: str) -> int:
    number = int(value) if value.isascii() and value.isdigit() else 0
    if number < 1:
        raise ConfigurationError(f"{variable}={value!r} is not a whole number of 1 or more.")
    return number


def _number(variable: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ConfigurationError(f"{variable}={value!r} is not a number of 0 or more.")
    return number


def _date(variable: str, default: str) -> str:
    value = _value(variable) or default
    try:
        return dt.date.fromisoformat(value).isoformat() if value else ""
    except ValueError:
        raise ConfigurationError(
            f"{variable}={value!r} is not a date.", "Write it as YYYY-MM-DD."
        ) from None
