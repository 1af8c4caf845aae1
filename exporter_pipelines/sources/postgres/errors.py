"""Turns errors of PostgreSQL and its driver into errors that are safe to show.

Belongs here: removing secrets and row content, what to do next, and whether a retry may help.
Does not belong here: running statements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import pq

from exporter_pipelines.errors import (
    ExporterError,
    SourceLostError,
    SourceStalledError,
    SourceUnavailableError,
    printable,
)
from exporter_pipelines.sources.postgres.refusals import RETRYABLE, hint_for, may_pass

LONGEST_USER = 31
"""A longer user name may be a token (GitHub's have 40 characters), so it is not shown."""

# Classes of SQLSTATE that are about the server or the connection, not about the statement.
SERVER_TROUBLE = {"08", "53", "57", "58", "XX"}

# Classes whose messages quote names and files, never values: features, transactions, names, access,
# states of objects, and trouble of the server. Others, above all 22 and 23, quote values.
_QUOTES_NAMES = {"0A", "25", "28", "3D", "3F", "42", "53", "54", "55", "57", "58"}

_NOT_FILLED = (
    "If it is a materialized view, fill it with REFRESH MATERIALIZED VIEW, as its owner. It stays "
    "unreadable until then."
)
_NO_PRIVILEGE = (
    "The user lacks a privilege: GRANT SELECT on what the message names, and USAGE on its schema. "
    "Or row-level security hides rows from the user: ALTER ROLE ... BYPASSRLS. The owner of a view "
    "or function needs the same."
)
_AGAIN = "Run it again when the server is available."
_CORRECT = (
    "Correct what the message names: a value, the table, the query, or a limit of the server. "
    "Until then, the export of this day fails in the same way."
)

_BY_SQLSTATE = {"55000": _NOT_FILLED, "42501": _NO_PRIVILEGE}

# Where an error occurred, as far as its text is certainly one of the server. A function in PL/pgSQL
# or another language may raise any text with any SQLSTATE.
_SAFE_CONTEXT = re.compile(
    r'parallel worker|SQL function ".*" (statement \d+|during \w+)'
    r"|remote SQL command: .*|JSON data, .*"
)
# The driver repeats the statements with which it begins, before the message of the server.
_FAILED_QUERY = re.compile(r"^.*?Failed to execute query '.*?': ", re.DOTALL)
_SECRET_NAMES = re.compile("password|secret|token")


class PostgresErrors:
    """The errors of one connection.

    Args:
        parameters: Of the connection, as libpq names them.
        variable: The environment variable that holds the URL.
    """

    def __init__(self, parameters: Mapping[str, Any], variable: str) -> None:
        self._variable = variable
        self._secrets = sorted(_secrets(parameters), key=len, reverse=True)
        self._target = _describe(parameters)

    def unavailable(self, error: Exception) -> SourceUnavailableError:
        """The server could not be reached, or refused the connection."""
        text = self._safe(error)
        return SourceUnavailableError(
            f"Cannot connect to PostgreSQL {self._target}: {text}.",
            hint_for(error, text, self._variable),
            may_pass(error),
        )

    def no_answer_to_connect(self, limit_s: float) -> SourceUnavailableError:
        """The server accepted the connection and did not answer."""
        return SourceUnavailableError(
            f"Cannot connect to PostgreSQL {self._target}: no answer within {limit_s:g} s.",
            f"Check that the server is running and that {self._variable} has its address.",
        )

    def stalled(self, limit_s: float, setting: str) -> SourceStalledError:
        """The server sent nothing for longer than a setting allows."""
        return SourceStalledError(
            f"PostgreSQL {self._target} sent nothing for {limit_s:g} s.",
            "Nothing of this day was published. Check whether the server or the network is "
            "overloaded, then run the day again. If such waits are normal, raise "
            f"source.{setting}.",
        )

    def lost(self, error: Exception) -> SourceLostError:
        """The connection was lost, or the server stopped a query."""
        sqlstate = getattr(error, "sqlstate", None)
        text = self._without_rows(error, sqlstate or "")
        if sqlstate:
            retryable = bool(RETRYABLE.fullmatch(sqlstate))
        else:
            retryable = str(error).startswith("IO:") and "ERROR:" not in str(error)
        if "ERROR:" in str(error):
            return PostgresStoppedError(
                sqlstate or "",
                f"PostgreSQL {self._target} stopped the query: {text}.",
                "Nothing of this day was published. "
                + (_AGAIN if retryable else _BY_SQLSTATE.get(sqlstate or "", _CORRECT)),
                retryable,
            )
        return SourceLostError(
            f"Lost the connection to PostgreSQL {self._target}: {text}.",
            f"Nothing of this day was published. {_AGAIN}",
            retryable,
        )

    def refused(self, error: Exception, sqlstate: str) -> PostgresStatementError:
        """The server reported an error for a statement."""
        text = self._without_rows(error, sqlstate)
        return PostgresStatementError(
            sqlstate,
            f"PostgreSQL {self._target} refused a statement ({sqlstate}): {text}.",
            bool(RETRYABLE.fullmatch(sqlstate)),
        )

    def _without_rows(self, error: Exception, sqlstate: str) -> str:
        """What is shown of an error that may have occurred while rows were read."""
        if not all(_SAFE_CONTEXT.fullmatch(line) for line in _context(error).splitlines()):
            return (
                f"error {sqlstate} in a function of the database (its text is not shown, because "
                "it may contain values of rows)"
            )
        text = self._safe(error)
        return text if sqlstate[:2] in _QUOTES_NAMES else _without_values(text)

    def _safe(self, error: Exception) -> str:
        """The first line of a driver's message, without its prefix and without secrets."""
        text = _FAILED_QUERY.sub("", str(error).strip()) or type(error).__name__
        line = text.splitlines()[0]
        line = re.sub(r"^.*?(FATAL:|ERROR:)\s*", "", line)
        line = re.sub(r"^[A-Z_]+: \[libpq\] (Failed to connect: )?", "", line)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return printable(line.rstrip(". "))


class PostgresStatementError(ExporterError):
    """The server reported an error for a statement; the caller knows what it means for the dataset.

    Attributes:
        sqlstate: PostgreSQL's five-character error code.
    """

    docs_anchor = "a-statement-was-refused"

    def __init__(self, sqlstate: str, message: str, retryable: bool = False) -> None:
        hint = "Run SELECT * FROM the dataset's table in psql as the same user to see why."
        super().__init__(message, _BY_SQLSTATE.get(sqlstate, hint))
        self.sqlstate, self.retryable = sqlstate, retryable


class PostgresStoppedError(SourceLostError):
    """The server reported an error after it had begun to send rows.

    Attributes:
        sqlstate: PostgreSQL's five-character error code; empty if it is not known.
    """

    def __init__(self, sqlstate: str, message: str, hint: str, retryable: bool) -> None:
        super().__init__(message, hint, retryable)
        self.sqlstate = sqlstate


def _context(error: Exception) -> str:
    """Where in functions an error occurred; empty if outside of them."""
    details = dict(getattr(error, "details", None) or ())
    found = details.get("PG_DIAG_CONTEXT") or details.get(b"PG_DIAG_CONTEXT") or b""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _without_values(message: str) -> str:
    """A message up to its first quotation mark, in any language of the server.

    The message of a failed cast quotes the value, which may contain quotation marks and line breaks
    itself. Row content must not reach a log.
    """
    head = re.split('["«»„“”「『]', message, maxsplit=1)[0]
    return message if head == message else f"{head}(value not shown)"


def _secrets(parameters: Mapping[str, Any]) -> set[str]:
    """Values that must not be shown."""
    found: set[str] = set()
    for name, value in parameters.items():
        if name == "options":  # -c name=value
            found |= set(re.findall(r"=(\S+)", str(value)))
        elif _SECRET_NAMES.search(name):
            found.add(str(value))
    user = str(parameters.get("user") or "")
    if len(user) > LONGEST_USER:
        found.add(user)
    return found - {""}


def _describe(parameters: Mapping[str, Any]) -> str:
    """The server that libpq asks: parameters that the URL lacks come from the environment."""
    defaults = {
        option.keyword.decode(): option.val.decode("utf-8", "replace")
        for option in pq.Conninfo.get_defaults()
        if option.val
    }
    given = {name: value for name, value in parameters.items() if value}
    found = {**defaults, **given}
    if given.get("service") and not given.get("host"):
        return printable(f"of the service {given['service']}")  # its file names the server
    host = found.get("host") or found.get("hostaddr") or "the local socket"
    user = str(found.get("user") or "?")
    shown = "***" if len(user) > LONGEST_USER else user
    database = found.get("dbname") or shown
    return printable(f"at {host}:{found.get('port') or 5432}, database {database}, user {shown}")
