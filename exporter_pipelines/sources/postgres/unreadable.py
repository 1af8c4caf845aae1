"""Why a table or query cannot be read at all, and what to do.

Belongs here: questions to the catalog after a refusal.
Does not belong here: columns that do not fit (`table`), and refused connections (`refusals`).
"""

from __future__ import annotations

from psycopg import sql

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.sql_names import quoted
from exporter_pipelines.errors import (
    ConfigurationError,
    ExporterError,
    SourceUnavailableError,
    UnknownTableError,
    listed,
    printable,
)
from exporter_pipelines.sources.postgres.connection import PostgresConnection
from exporter_pipelines.sources.postgres.errors import PostgresStatementError
from exporter_pipelines.sources.postgres.query import relation

_TABLES = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1 LIMIT 40
"""
# Sessions with a lock on a table that blocks even SELECT.
_LOCKED_BY = """
SELECT l.relation::regclass::text AS name, l.pid, a.usename AS role, a.application_name AS program
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid()
ORDER BY l.pid LIMIT 5
"""
_PRIVILEGES = """
SELECT has_schema_privilege(n.oid, 'USAGE') AS may_use,
    has_any_column_privilege(c.oid, 'SELECT') AS may_select
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = {name} AND {schema}
"""
_BYPASSES = """
SELECT rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = current_user
"""
_ON_PURPOSE = (
    "If the policies are meant to choose the rows that are exported, add "
    "options=-c%20row_security%3Don to the URL."
)


def why_unreadable(
    connection: PostgresConnection, dataset: Dataset, error: PostgresStatementError
) -> ExporterError:
    """The error to raise when PostgreSQL refused to read a table or query.

    Args:
        connection: Outside of a transaction.
        dataset: Names the table or query.
        error: The refusal.
    """
    source, name = dataset.config.source, dataset.name
    if error.sqlstate == "55P03":
        return _locked(connection, dataset)
    if error.sqlstate == "42501" and _has_policies(connection, dataset):
        return _filtered(connection, dataset)
    if source.query is not None:
        named = error.sqlstate in {"42501", "55000"}
        return ConfigurationError(
            f"The query of {name} cannot be run. {error.message}",
            error.hint if named else "Correct `query` in its defs.yaml.",
        )
    if error.sqlstate == "42501":
        return _not_granted(connection, dataset, error)
    if error.sqlstate in {"42P01", "3F000", "42601", "42602"}:
        tables = [row["name"] for row in connection.rows(_TABLES)]
        return UnknownTableError(
            f"The table {source.table!r} of {name} does not exist (there are: {listed(tables)}).",
            "Correct `table` in its defs.yaml; write schema.table for another schema.",
        )
    return error


def _has_policies(connection: PostgresConnection, dataset: Dataset) -> bool:
    """Whether the table can be read as soon as policies may filter its rows."""
    source = relation(dataset.config.source).as_string(None)
    connection.execute("BEGIN READ ONLY")
    connection.execute("SET LOCAL row_security = on")
    try:
        connection.types(f"SELECT 1 AS one FROM {source} AS t")  # noqa: S608 - quoted
    except PostgresStatementError:
        return False
    finally:
        connection.execute("ROLLBACK")
    return True


def _filtered(connection: PostgresConnection, dataset: Dataset) -> ConfigurationError:
    origin = f"{dataset.config.source.origin} of {dataset.name}"
    nothing = "A day without the hidden rows would look complete, so nothing is exported."
    if connection.rows(_BYPASSES)[0]["bypasses"]:
        return ConfigurationError(
            f"Row-level security hides rows of {origin} from the owner of a view.",
            f"{nothing} Give the owner of the view BYPASSRLS (ALTER ROLE ... BYPASSRLS), or let "
            "the view read with the rights of the user: ALTER VIEW ... SET (security_invoker = "
            f"true), from PostgreSQL 15 on. {_ON_PURPOSE}",
        )
    return ConfigurationError(
        f"Row-level security hides rows of {origin} from this user.",
        f"{nothing} Give the user BYPASSRLS (ALTER ROLE ... BYPASSRLS). If it is a view, its owner "
        f"needs it. {_ON_PURPOSE}",
    )


def _not_granted(
    connection: PostgresConnection, dataset: Dataset, error: PostgresStatementError
) -> ExporterError:
    source = dataset.config.source
    schema, _, name = (source.table or "").rpartition(".")
    where = "n.nspname = {schema}" if schema else "pg_table_is_visible(c.oid)"
    statement = sql.SQL(_PRIVILEGES.replace("{schema}", where)).format(
        name=sql.Literal(name), schema=sql.Literal(schema)
    )
    found = connection.rows(statement.as_string(None))
    missing = []
    if found and not found[0]["may_use"]:
        missing.append(f"USAGE ON SCHEMA {quoted(schema)}")
    if not found or not found[0]["may_select"]:
        missing.append(f"SELECT ON {quoted(source.table or '')}")
    if not missing:  # something that a view or a column reads
        return error
    grants = " and ".join(f"GRANT {privilege} TO the user" for privilege in missing)
    return UnknownTableError(
        f"The table {source.table!r} of {dataset.name} may not be read by this user.",
        f"{grants}, or configure another table.",
    )


def _locked(connection: PostgresConnection, dataset: Dataset) -> ExporterError:
    holders = [
        printable(
            f"{row['name']} by process {row['pid']} of {row['role']} ({row['program'] or '?'})"
        )
        for row in connection.rows(_LOCKED_BY)
    ]
    return SourceUnavailableError(
        f"The rows of {dataset.name} stayed locked for "
        f"{connection.lock_timeout_s:g} s. Locked tables: "
        f"{', '.join(holders) or 'none any more'}.",
        "Wait until the lock is released, or end the process with "
        "SELECT pg_terminate_backend(process).",
    )
