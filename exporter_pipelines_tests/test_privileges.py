"""A role that may only read three tables is all that an export needs; no message has a secret."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from exporter_pipelines.errors import ConfigurationError, ExporterError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, export_patiently

DAY = "2026-11-01"
COLUMNS = "id, timestamp, level, message, source, device, ip, attributes"
FORBIDDEN = (
    "INSERT INTO logs (id, timestamp) VALUES (9, now())",
    "UPDATE logs SET level = 'ERROR'",
    "DELETE FROM logs",
    "TRUNCATE logs",
    "DROP TABLE logs",
    "CREATE TABLE mine (id int)",
    "COPY logs TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
)


@pytest.fixture
def reader_url(backend: Backend) -> Iterator[str]:
    """URL of a role with CONNECT, USAGE and SELECT alone, where PUBLIC may do nothing."""
    role = f"reader_{secrets.token_hex(6)}"
    database = backend.run("SELECT current_database()")[0][0]
    backend.run(
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; "
        f"CREATE ROLE {role} LOGIN PASSWORD 'right' NOSUPERUSER; "
        f"GRANT CONNECT ON DATABASE {database} TO {role}; GRANT USAGE ON SCHEMA public TO {role}; "
        f"GRANT SELECT ON logs, anomalies, ip_addresses TO {role}"
    )
    try:
        yield backend.url.replace("postgres@", f"{role}:right@", 1)
    finally:
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_role_that_may_only_read_three_tables_exports_them(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    backend.run("INSERT INTO anomalies (id, timestamp, type, score, severity, status) "
                f"VALUES (1, '{DAY}', 'spike', 0.5, 'high', 'open')")  # fmt: skip
    backend.run("INSERT INTO ip_addresses (id, address, last_seen, risk_score) "
                f"VALUES (1, '10.0.0.1', '{DAY}', 1)")  # fmt: skip
    for name, rows in (("logs", 3), ("anomalies", 1), ("ips", 1)):
        exported = dataset(name, max_rejected_pct=100)
        manifest = export(reader_url, exported, DAY, store)
        assert manifest.counts.read == rows


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_such_a_role_can_do_nothing_else(backend: Backend, reader_url: str, statement: str) -> None:
    backend.add_logs(DAY, 1)
    with (
        psycopg.connect(reader_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_policies_that_hide_rows_refuse_the_export(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    before = export(reader_url, dataset(), DAY, store)
    backend.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY")
    backend.run("CREATE VIEW safe_logs AS SELECT * FROM logs")
    backend.run(f"GRANT SELECT ON safe_logs TO {_role(reader_url)}")
    backend.run(f"ALTER VIEW safe_logs OWNER TO {_role(reader_url)}")
    sources = [{}, {"table": "safe_logs"}, {"table": None, "query": "SELECT * FROM logs"}]
    for source in sources:
        with pytest.raises(ConfigurationError) as caught:
            export(reader_url, dataset(source=source), DAY, store)
        assert "Row-level security hides rows of" in str(caught.value)
        assert "BYPASSRLS" in str(caught.value)
        assert "GRANT SELECT" not in str(caught.value)
    assert store.read_manifest("logs", DAY) == before.to_json()
    # A role that the policies do not filter reads all rows.
    assert export(backend.url, dataset(), DAY, store).counts.read == 3


def test_policies_that_choose_the_rows_on_purpose_are_allowed_by_the_url(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    backend.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY")
    backend.run("CREATE POLICY chosen ON logs USING (id < 3)")
    for value in ("on", "TRUE", "1", "yes"):
        url = f"{reader_url}&options=-c%20row_security%3D{value}"
        assert export(url, dataset(), DAY, store).counts.read == 2
    for options in ("-c%20row_security%3Doff", "-c%20row_security%3Don%20-crow_security%3D0"):
        with pytest.raises(ConfigurationError, match="Row-level security"):
            export(f"{reader_url}&options={options}", dataset(), DAY, store)


def test_policies_that_filter_the_owner_of_a_view_are_not_those_of_the_user(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    role = _role(reader_url)
    backend.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE VIEW owned AS TABLE logs")
    backend.run(f"GRANT SELECT ON owned TO {role}; ALTER VIEW owned OWNER TO {role}")
    with pytest.raises(ConfigurationError) as caught:
        export(backend.url, dataset(source={"table": "owned"}), DAY, store)
    assert "from the owner of a view" in caught.value.message
    assert "security_invoker" in caught.value.hint
    assert "Give the user BYPASSRLS" not in caught.value.hint


def test_policies_in_a_function_are_named_as_a_possible_cause(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 3)
    backend.run(
        "ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE FUNCTION all_logs() RETURNS SETOF logs "
        "LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY SELECT * FROM logs; END'"
    )
    source = {"table": None, "query": "SELECT * FROM all_logs()"}
    with pytest.raises(ExporterError) as caught:
        export(reader_url, dataset(source=source), DAY, store)
    assert "BYPASSRLS" in caught.value.hint


def test_the_missing_privilege_is_the_one_that_is_named(
    backend: Backend, reader_url: str, store: LocalStore
) -> None:
    backend.add_logs(DAY, 1)
    role = _role(reader_url)
    backend.run(
        'CREATE SCHEMA shut; CREATE TABLE shut.logs AS TABLE logs; CREATE SCHEMA "Open"; '
        'CREATE VIEW "Open".logs AS TABLE shut.logs; CREATE TABLE "Open"."order" AS TABLE logs; '
        f'GRANT SELECT ON shut.logs TO {role}; GRANT USAGE ON SCHEMA "Open" TO {role}; '
        f'CREATE ROLE {role}_owner; GRANT SELECT ON "Open".logs TO {role}; '
        f'ALTER VIEW "Open".logs OWNER TO {role}_owner; ALTER TABLE logs ADD secret text; '
        f"REVOKE SELECT ON logs FROM {role}; GRANT SELECT ({COLUMNS}) ON logs TO {role}"
    )
    rule = {"name": "no_secret", "sql": "secret IS NULL"}
    cases = [
        (dataset(source={"table": "shut.logs"}), "GRANT USAGE ON SCHEMA shut TO the user"),
        (dataset(source={"table": "Open.order"}), 'GRANT SELECT ON "Open"."order" TO the user'),
        (dataset(source={"table": "Open.logs"}), "The owner of a view or function needs the same"),
        (dataset(rules=[rule]), "GRANT SELECT (column) ON logs TO the user"),
        (dataset(source={"table": None, "query": 'TABLE "Open"."order"'}), "GRANT SELECT on what"),
    ]
    try:
        for exported, advice in cases:
            with pytest.raises(ExporterError) as caught:
                export(reader_url, exported, DAY, store)
            assert advice in caught.value.hint
    finally:
        backend.run(f"DROP OWNED BY {role}_owner; DROP ROLE {role}_owner")


def _role(url: str) -> str:
    return url.split("://")[1].split(":")[0]


CANARY = "canary7Secret"
TOKEN = "ghp_canary7Secret" + "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{CANARY}@127.0.0.1:1/db",
        f"postgresql://ann:{quote('%@/' + CANARY, safe='')}%2F@127.0.0.1:1/db",
        f"postgresql://ann@127.0.0.1:1/db?password={CANARY}",
        f"postgresql://ann@127.0.0.1:1/db?sslmode=disable&sslpassword={CANARY}",
        f"postgresql://{TOKEN}@127.0.0.1:1/db",
        f"postgresql://{TOKEN}@127.0.0.1:1",
        "postgresql://ann@127.0.0.1:1/db?passfile={passfile}",
        f"postgresql://ann@127.0.0.1:1/db?options=-c%20app.token%3D{CANARY}",
    ],
)
def test_no_secret_is_in_what_a_refused_connection_says(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:*:{CANARY}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSWORD", CANARY)
    said: list[str] = []
    once_more = dataset(source={"retries": 1})
    with pytest.raises(ExporterError) as caught:
        export_patiently(url.format(passfile=passfile), once_more, DAY, store, notify=said.append)
    text = "".join([*said, *traceback.format_exception(caught.value)])
    assert "127.0.0.1:1" in text
    assert CANARY not in text


@pytest.mark.parametrize("given", ["user", "options"])
def test_no_secret_is_in_what_a_server_answers(
    backend: Backend, store: LocalStore, given: str
) -> None:
    url = backend.url.replace("postgres@", f"{TOKEN}@", 1)
    if given == "options":
        url = f"{backend.url}&options=-c%20datestyle%3D{CANARY}"
    with pytest.raises(ExporterError) as caught:
        export(url, dataset(), DAY, store)
    text = "".join(traceback.format_exception(caught.value))
    assert CANARY not in text
    assert "***" in text


def test_no_terminal_obeys_a_name_in_a_url(store: LocalStore) -> None:
    url = "postgresql://ann%1b%5b31m%e2%80%ae@127.0.0.1:1/db%0aINFO"
    with pytest.raises(ExporterError) as caught:
        export(url, dataset(), DAY, store)
    assert r"database db\nINFO, user ann\x1b[31m\u202e" in str(caught.value)
    assert str(caught.value).isprintable()
