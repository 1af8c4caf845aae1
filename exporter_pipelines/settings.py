"""The only reader of the environment.

Belongs here: how variables are read, and each `EXPORTER_*` variable with its default and its check.
Those of alerts are in `alert_settings`, those of the service in `service_settings`. Before anything
here is called, Dagster loads the `.env` of the working directory, which overrides the shell. Our
own commands do the same with `dotenv_file.load_dotenv`.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from exporter_pipelines.dotenv_file import text_of_file
from exporter_pipelines.errors import ConfigurationError, MissingSettingError

DEMO_SOURCE = "demo"
"""Value of a source URL that selects the embedded sample backend."""

DEFAULT_START_DATE = "2026-11-01"
DEFAULT_TIMEZONE = "UTC"
DEFAULT_OUTPUT = "./exports"
DEFAULT_MAX_DAYS = 366
_MOST_NAME_BYTES, _MOST_PATH_BYTES = 255, 3000
"""Linux allows 4,096 bytes; folders of days and their files are below."""
MOST_READERS = 256
DEFAULT_PART_MIB = 16
BUCKET_URLS = ("s3://", "gs://", "az://")
"""What EXPORTER_OUTPUT_URL begins with if the exports are in a bucket."""
_OUTPUTS = (
    "Use a folder, as a path or as file:///absolute/path, or a bucket: s3://bucket/prefix, "
    "gs://bucket/prefix or az://container/prefix."
)


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
            _OUTPUTS,
        )
    if odd := re.search(r"\$\w+|[\u2018-\u201d]", value):
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL={value!r} contains {odd[0]!r}, which is not replaced.",
            "Write the folder itself. In .env, ${HOME} with braces is replaced.",
        )
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL={value!r} is neither a path nor a URL.",
            _OUTPUTS,
        ) from None
    if parts.scheme not in ("", "file") or parts.netloc:
        raise ConfigurationError(
            f"EXPORTER_OUTPUT_URL has the scheme {parts.scheme!r}, which is not supported.",
            _OUTPUTS,
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
        return text_of_file(Path(name.removeprefix("file:"))).strip()
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
            texts += text_of_file(path).split() if path.exists() else []
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


def ui_url() -> str:
    """`EXPORTER_UI_URL`: address of the Dagster UI, for links; without a trailing slash.

    When it is not set, where `exporter serve` listens on this machine.
    """
    port, prefix = text("EXPORTER_SERVE_PORT") or "3000", text("EXPORTER_SERVE_PREFIX")
    return service_url() or f"http://127.0.0.1:{port}{prefix.rstrip('/')}"


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


def text(variable: str) -> str:
    """A variable of `service_settings` or `alert_settings`; empty if it is not set."""
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
            "Create it, and move the folders of your datasets there: docs/own-definitions.md.",
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
    if "\0" in value:
        raise ConfigurationError(f"{variable} has a NUL, which no path can have.", "Remove %00.")
    longest = max(map(len, os.fsencode(value).split(b"/")))
    if longest > _MOST_NAME_BYTES or len(os.fsencode(value)) > _MOST_PATH_BYTES:
        raise ConfigurationError(
            f"{variable} is too long for a path: {len(value):,} characters.",
            f"A path may have {_MOST_PATH_BYTES:,} bytes here, and each name in it "
            f"{_MOST_NAME_BYTES}.",
        )
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


def number(variable: str, value: str) -> float:
    """The value of a variable of `alert_settings`."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ConfigurationError(f"{variable}={value!r} is not a number of 0 or more.")
    return found


def _date(variable: str, default: str) -> str:
    value = _value(variable) or default
    try:
        return dt.date.fromisoformat(value).isoformat() if value else ""
    except ValueError:
        raise ConfigurationError(
            f"{variable}={value!r} is not a date.", "Write it as YYYY-MM-DD."
        ) from None
