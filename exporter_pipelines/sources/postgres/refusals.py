"""What to do, and whether to try again, when a connection is refused.

A server that refuses a connection gives no SQLSTATE to libpq, only a text in its language. Without
a match, the advice is general.

Belongs here: the texts of libpq and of servers, and the advice for them.
Does not belong here: what is safe to show of a text (`errors`).
"""

from __future__ import annotations

import re

# Connection lost; too many connections; server shuts down, crashed, starts up; serialization and
# recovery conflicts; deadlock. Not 57014: a statement was cancelled, or timed out, on purpose.
RETRYABLE = re.compile("08...|53300|57P0[123]|40001|40P01")

_RETRYABLE_WORDS = re.compile(
    r"starting up|shutting down|in recovery mode|not (yet )?accepting|consistent recovery state"
    r"|too many (clients|connections)|remaining connection slots|the database system is"
    r"|terminating connection"
)
# libpq writes two spaces after the severity, in any language of the server.
_SERVER_MESSAGE = re.compile(r"failed: [^\s:]+:  ")
_PERMANENT = re.compile(
    r"no password supplied|does not support|certificate|GSS|invalid|unsupported|not known"
    r"|too long|Permission denied|private key|service|SSL is not|SSL error|channel binding"
)
_TIMED_OUT = (
    "The server cancelled a statement with which every connection begins. If a time limit is the "
    "cause, raise statement_timeout: for the user (ALTER ROLE ... SET statement_timeout), the "
    "database, or in the options of {variable}."
)
# In this order.
_HINTS = (
    ("root certificate file", "Put the certificate of the authority that signed the server's "
     "certificate there, or name its file with sslrootcert= in {variable}."),
    ("channel binding", "The server does not offer channel binding. It needs SSL and the method "
     "scram-sha-256; otherwise remove channel_binding from {variable}."),
    ("ssl_(min|max)_protocol|SSL protocol", "Correct ssl_min_protocol_version and "
     "ssl_max_protocol_version in {variable}."),
    ("certificate|private key|SSL|sslmode", "Correct sslmode, sslrootcert, sslcert and sslkey in "
     "{variable}, or the certificate of the server."),
    ("password authentication failed|no password supplied",
     "Correct the user or password in {variable}."),
    ("session is (not )?read-only|hot standby mode|target_session_attrs",
     "target_session_attrs of {variable} asks for another kind of server. Correct it, or add the "
     "host of such a server."),
    ("not permitted to log in", "Run ALTER ROLE ... LOGIN for the user, or name another one in "
     "{variable}."),
    ("permission denied for database", "Run GRANT CONNECT ON DATABASE ... TO the user, or correct "
     "the database in {variable}."),
    ("too many connections for (role|database)", "Raise the limit (ALTER ROLE or ALTER DATABASE "
     "... CONNECTION LIMIT; -1 is none), or end other connections."),
    ("too many clients|remaining connection slots", "End other connections, or raise "
     "max_connections of the server."),
    ("authentication method requirement", "Correct require_auth in {variable}, or the method in "
     "pg_hba.conf of the server."),
    ("pg_hba.conf|authentication", "Allow this user, database and address in pg_hba.conf of the "
     "server, or correct them in {variable}."),
    ("definition of service|service file", "Correct the service in {variable}, or its definition "
     "in pg_service.conf."),
    ("(role|database) .* does not exist", "Correct the database or user name in {variable}."),
    ("startup parameter", "The pooler does not accept a parameter of {variable}. Remove it, or set "
     "it for the role on the server."),
    ("invalid value for parameter|unrecognized configuration parameter|requires a value"
     "|command-line argument|cannot be (set|changed)|permission denied to set",
     "Correct this setting in the options of {variable} or in PGOPTIONS."),
    ('invalid .*value|value ".*" invalid', "Correct this parameter in {variable}, or the "
     "environment variable of libpq that sets it."),
    ("does not exist", "Correct the database or user name in {variable}."),
)  # fmt: skip


def hint_for(error: Exception, text: str, variable: str) -> str:
    """What to do about a connection that could not be made.

    Args:
        error: Of the driver.
        text: What is shown of it.
        variable: The environment variable with the URL.
    """
    if _sqlstate(error) == "57014":
        return _TIMED_OUT.format(variable=variable)
    general = (
        "The server answered. Correct what the message names, in {variable} or on the server."
        if _is_of_server(error)
        else "Check that the server is running and that {variable} has its address."
    )
    return next((hint for words, hint in _HINTS if re.search(words, text)), general).format(
        variable=variable
    )


def may_pass(error: Exception) -> bool:
    """Whether connecting again may help.

    In doubt it is not retried: servers lock accounts after repeated wrong passwords.
    """
    if sqlstate := _sqlstate(error):
        return bool(RETRYABLE.fullmatch(sqlstate))
    if _RETRYABLE_WORDS.search(str(error)):
        return True
    return not (_is_of_server(error) or _PERMANENT.search(str(error)))


def _is_of_server(error: Exception) -> bool:
    text = str(error)
    return bool(_sqlstate(error) or _SERVER_MESSAGE.search(text) or "FATAL:" in text)


def _sqlstate(error: Exception) -> str | None:
    found: str | None = getattr(error, "sqlstate", None)
    return found
