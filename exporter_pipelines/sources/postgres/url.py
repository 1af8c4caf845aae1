"""Reads the URL of a PostgreSQL database, and refuses one that libpq would misread.

Belongs here: parsing, and errors that never show the URL.
Does not belong here: connecting (`connection`).
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from exporter_pipelines.errors import ConfigurationError

_NO_REPLICATION = {"", "0", "false", "off", "no"}

# How PostgreSQL writes booleans; each may be shortened as long as it is unique.
_ON = re.compile("on|t(r(ue?)?)?|y(es?)?|1", re.IGNORECASE)
_ROW_SECURITY = re.compile(r"row[_-]security\s*=\s*['\"\\]*(\w+)", re.IGNORECASE)


def parameters_of(url: str, variable: str) -> dict[str, Any]:
    """The parameters of a URL, as libpq names them.

    Args:
        url: Connection string for libpq.
        variable: The environment variable with this URL, for messages.

    Raises:
        ConfigurationError: it is malformed, or has a parameter that does not exist or cannot be
            used. Its text is not shown.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        unknown = _unknown_parameter(url)
        raise (_unknown(unknown, variable) if unknown else _malformed(variable)) from None
    # If the password contains @, / or ?, libpq reads its rest as host, port or database, and shows
    # it in errors. In other parameters, an @ is an ordinary character, and an encoded one (%40) is
    # one everywhere. A host that begins with @ is an abstract socket.
    address, _, options = url.partition("?")
    pairs = [option.partition("=") for option in options.split("&")]
    misread = address.count("@") > 1 or ("@" in address and not given.get("user"))
    misread |= any(name in ("host", "dbname") and "@" in value[1:] for name, _, value in pairs)
    numbers = [str(given.get(name) or "") for name in ("port", "tcp_user_timeout")]
    if misread or not all(re.fullmatch("[0-9,]*", number) for number in numbers):
        raise _malformed(variable)
    if str(given.get("replication") or "").lower() not in _NO_REPLICATION:
        raise ConfigurationError(
            f"The URL in {variable} asks for a replication connection, which cannot read tables.",
            "Remove the parameter `replication` from it.",
        )
    return dict(given)


def row_security_of(options: str) -> str | None:
    """`on` or `off` as the `options` of a URL set `row_security`; None if they do not."""
    found = _ROW_SECURITY.findall(options)
    if not found:
        return None
    return "on" if _ON.fullmatch(found[-1]) else "off"


def _unknown_parameter(url: str) -> str | None:
    """The name of a parameter that libpq does not know, unless it may be a part of a password."""
    address, _, options = url.partition("?")
    begins_password = "@" not in address and re.search(r"//[^/]*:[^/]*[^/\d\]]", address)
    if "@" in options or "password" in options or begins_password:
        return None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    names = re.findall(r"(?:^|&)([A-Za-z_]{1,40})=", options)
    return next((name for name in names if name not in known), None)


def _unknown(name: str, variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"The URL in {variable} has the parameter {name!r}, which does not exist.",
        "Correct or remove it. The parameters are those of libpq: "
        "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS. "
        "Settings of the server belong into `options`, as in options=-c%20name%3Dvalue.",
    )


def _malformed(variable: str) -> ConfigurationError:
    """The error for a URL that libpq cannot parse, or would misread."""
    return ConfigurationError(
        f"The URL in {variable} is malformed.",
        "Write postgresql://user:password@host:5432/database and percent-encode special "
        "characters of the password (@ is %40, / is %2F). The URL is not shown, because it may "
        "contain a secret.",
    )
