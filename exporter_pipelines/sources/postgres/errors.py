"""What PostgreSQL or its driver said, as an error that is safe to show.

Belongs here: leaving out secrets and row content, saying what to do next, and telling what passes
by itself from what does not. Does not belong here: asking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceLostError,
    SourceStalledError,
    SourceUnavailableError,
    printable,
)

LONGEST_USER = 31
"""A longer user name is taken for a token (GitHub's have 40 characters) and not shown."""

# Classes of SQLSTATE that tell of the server or the connection, not of the statement.
SERVER_TROUBLE = {"08", "53", "57", "58", "XX"}

# Connection lost; too many connections; server shuts down, crashed, starts up; serialization and
# recovery conflicts; deadlock. Not 57014: who cancels a statement, or limits its time, means it.
_PASSING = re.compile("08...|53300|57P0[123]|40001|40P01")

# A server that refuses a connection gives no SQLSTATE to libpq's caller, only words.
_PASSING_WORDS = re.compile(
    r"starting up|shutting down|in recovery mode|not (yet )?accepting|consistent recovery state"
    r"|too many (clients|connections)|remaining connection slots|the database system is"
    r"|terminating connection"
)
# libpq writes two blanks behind the severity, whatever the server's language.
_SERVER_SAID = re.compile(r"failed: [^\s:]+:  ")
_NEVER_PASSES = re.compile(
    r"no password supplied|does not support|certificate|GSS|invalid|unsupported|not known"
    r"|too long|Permission denied"
)
_TELLS_SECRETS = re.compile("password|secret|token")


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
        said = self._safe(error)
        if "password authentication failed" in said or "no password supplied" in said:
            hint = f"Correct the user or password in {self._variable}."
        elif "does not exist" in said:
            hint = f"Correct the database or user name in {self._variable}."
        else:
            hint = f"Check that the server runs and that {self._variable} names it."
        return SourceUnavailableError(
            f"Cannot connect to PostgreSQL {self._target}: {said}.", hint, _may_connect(str(error))
        )

    def silent_at_connecting(self, limit_s: float) -> SourceUnavailableError:
        """The server took the connection and said nothing more."""
        return SourceUnavailableError(
            f"Cannot connect to PostgreSQL {self._target}: no answer within {limit_s:g} s.",
            f"Check that the server runs and that {self._variable} names it.",
        )

    def stalled(self, limit_s: float, setting: str) -> SourceStalledError:
        """The server was asked and said nothing for longer than a setting allows."""
        return SourceStalledError(
            f"PostgreSQL {self._target} sent nothing for {limit_s:g} s.",
            "Nothing of this day was published; see whether server or network are overloaded, "
            f"then run it again. Where so long a wait is usual, raise source.{setting}.",
        )

    def lost(self, error: Exception) -> SourceLostError:
        """The server stopped, or refused to go on."""
        said = _without_cells(self._safe(error))
        sqlstate = getattr(error, "sqlstate", None)
        if sqlstate:
            retryable = bool(_PASSING.fullmatch(sqlstate))
        else:
            retryable = str(error).startswith("IO:") and "ERROR:" not in str(error)
        if "ERROR:" in str(error):
            return SourceLostError(
                f"PostgreSQL {self._target} refused to go on: {said}.",
                "Nothing of this day was published; run the SELECT of the day's table in psql to "
                "see why, then run the day again.",
                retryable,
            )
        return SourceLostError(
            f"PostgreSQL {self._target} stopped in the middle: {said}.",
            "Nothing of this day was published; run it again when the server is well.",
            retryable,
        )

    def refused(self, error: Exception, sqlstate: str) -> PostgresStatementError:
        """The server answered a statement with an error of its class."""
        said = self._safe(error)
        # Only messages on syntax and access quote nothing but names.
        if sqlstate[:2] not in {"3F", "42"}:
            said = _without_cells(said)
        return PostgresStatementError(
            sqlstate,
            f"PostgreSQL {self._target} refused a statement ({sqlstate}): {said}.",
            bool(_PASSING.fullmatch(sqlstate)),
        )

    def _safe(self, error: Exception) -> str:
        """The first line of a driver's message, without its prefix and without secrets."""
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        line = re.sub(r"^.*?(FATAL:|ERROR:)\s*", "", line)
        line = re.sub(r"^[A-Z_]+: \[libpq\] (Failed to connect: )?", "", line)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return printable(line.rstrip(". "))


class PostgresStatementError(ExporterError):
    """The server refused a statement; the caller knows what it means for the dataset.

    Attributes:
        sqlstate: PostgreSQL's five-character error code.
    """

    docs_anchor = "a-statement-was-refused"

    def __init__(self, sqlstate: str, message: str, retryable: bool = False) -> None:
        super().__init__(
            message, "Run SELECT * FROM the dataset's table in psql as the same user to see why."
        )
        self.sqlstate, self.retryable = sqlstate, retryable


def malformed(variable: str) -> ConfigurationError:
    """The URL cannot be read."""
    return ConfigurationError(
        f"The URL in {variable} is malformed.",
        "Write postgresql://user:password@host:5432/database and percent-encode special "
        "characters of the password (@ is %40, / is %2F). It is not shown since it may hold a "
        "secret.",
    )


def _may_connect(said: str) -> bool:
    """Whether a refused connection may be granted later.

    When in doubt not: a wrong password must not be repeated, since servers lock accounts.
    """
    if _PASSING_WORDS.search(said):
        return True
    return not (_SERVER_SAID.search(said) or "FATAL:" in said or _NEVER_PASSES.search(said))


def _without_cells(message: str) -> str:
    """A message up to its first quote, in whatever language the server speaks.

    A failed cast quotes the cell, which may itself hold quotes and line breaks; row content must
    not reach a log.
    """
    head = re.split('["«»„“”「『]', message, maxsplit=1)[0]
    return message if head == message else f"{head}(value not shown)"


def _secrets(parameters: Mapping[str, Any]) -> set[str]:
    """Values that must not be shown."""
    found: set[str] = set()
    for name, value in parameters.items():
        if name == "options":  # -c name=value
            found |= set(re.findall(r"=(\S+)", str(value)))
        elif _TELLS_SECRETS.search(name):
            found.add(str(value))
    user = str(parameters.get("user") or "")
    if len(user) > LONGEST_USER:
        found.add(user)
    return found - {""}


def _describe(parameters: Mapping[str, Any]) -> str:
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = parameters.get("port") or 5432
    user = str(parameters.get("user") or "?")
    shown = "***" if len(user) > LONGEST_USER else user
    database = parameters.get("dbname") or shown
    return printable(f"at {host}:{port}, database {database}, user {shown}")
