"""A connection that PostgreSQL or libpq refuses is answered with its cause and with what to do."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from exporter_pipelines.errors import ConfigurationError, SourceUnavailableError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export

DAY = "2026-11-01"
CANARY = "canary7Secret"


@pytest.fixture
def role(backend: Backend) -> Iterator[str]:
    """A role that may connect and read."""
    name = f"limited_{secrets.token_hex(6)}"
    backend.run(f"CREATE ROLE {name} LOGIN PASSWORD 'right'; GRANT SELECT ON logs TO {name}")
    try:
        yield name
    finally:
        backend.run(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("ALTER ROLE {role} SET statement_timeout = 1", "raise statement_timeout"),
        ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE ... LOGIN"),
        ("ALTER ROLE {role} CONNECTION LIMIT 0", "CONNECTION LIMIT"),
        ("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC", "GRANT CONNECT ON DATABASE"),
    ],
)
def test_a_role_that_may_not_connect(
    backend: Backend, role: str, store: LocalStore, statement: str, advice: str
) -> None:
    database = backend.run("SELECT current_database()")[0][0]
    backend.run(statement.format(role=role, database=database))
    with pytest.raises(SourceUnavailableError) as caught:
        export(backend.url.replace("postgres@", f"{role}:right@", 1), dataset(), DAY, store)
    assert advice in caught.value.hint
    assert "server is running" not in caught.value.hint
    assert "Failed to execute" not in caught.value.message


@pytest.mark.parametrize(
    ("parameter", "advice"),
    [
        ("options=-cTimeZone%3DMars/Phobos", "setting in the options of EXPORTER_SOURCE_URL"),
        ("options=-cnonsense%3D1", "setting in the options of EXPORTER_SOURCE_URL"),
        ("target_session_attrs=standby", "target_session_attrs of EXPORTER_SOURCE_URL"),
        ("channel_binding=require", "remove channel_binding"),
        ("ssl_min_protocol_version=TLSv9", "Correct ssl_min_protocol_version"),
        ("gssencmode=nonsense", "Correct this parameter in EXPORTER_SOURCE_URL"),
    ],
)
def test_a_parameter_that_cannot_be_used(
    backend: Backend, store: LocalStore, parameter: str, advice: str
) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        export(f"{backend.url}&{parameter}", dataset(), DAY, store)
    assert advice in caught.value.hint


def test_a_connection_for_replication_is_refused_at_once(
    backend: Backend, store: LocalStore
) -> None:
    with pytest.raises(ConfigurationError, match="replication connection"):
        export(f"{backend.url}&replication=database", dataset(), DAY, store)
    backend.add_logs(DAY, 1)
    assert export(f"{backend.url}&replication=off", dataset(), DAY, store).record_count == 1


def test_an_unknown_parameter_is_named(store: LocalStore) -> None:
    url = "postgresql://ann:right@127.0.0.1:1/db?sslmode=disable&nonsense=1"
    with pytest.raises(ConfigurationError, match="the parameter 'nonsense'"):
        export(url, dataset(), DAY, store)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:a?{CANARY}=1",
        f"postgresql://ann@127.0.0.1:1/db?password=a&{CANARY}=1",
    ],
)
def test_a_part_of_a_password_is_not_named_as_a_parameter(store: LocalStore, url: str) -> None:
    with pytest.raises(ConfigurationError, match="malformed") as caught:
        export(url, dataset(), DAY, store)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann@127.0.0.1:1/?dbname=a%40b&application_name=ops@example.org",
        "postgresql://ann@127.0.0.1:1/a%40b?application_name=ops@example.org",
        "postgresql://ann@/db?host=@abstract&port=1&application_name=ops@example.org",
    ],
)
def test_an_at_sign_in_a_database_or_socket_is_an_ordinary_character(
    store: LocalStore, url: str
) -> None:
    with pytest.raises(SourceUnavailableError, match="Cannot connect"):
        export(url, dataset(), DAY, store)
