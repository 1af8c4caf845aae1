"""A source that cannot be read gives one clear error; nothing is published, nothing is lost."""

from __future__ import annotations

import os
import shutil
import traceback
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from exporter_pipelines import settings as project_settings
from exporter_pipelines.contracts import source_config
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.errors import (
    ColumnMismatchError,
    ConfigurationError,
    ExporterError,
    MissingSettingError,
    SourceLostError,
    SourceUnavailableError,
    UnknownTableError,
)
from exporter_pipelines.sources.postgres.errors import _without_values
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export, rows
from exporter_pipelines_tests.support.waiting import wait_until

DAY = "2026-11-01"
SECRET = "hunter2secret"


@pytest.fixture
def published(backend: Backend, store: LocalStore) -> Backend:
    """A backend of which one day is published."""
    backend.add_logs(DAY, 3)
    export(backend.url, dataset(), DAY, store)
    return backend


def refused(
    kind: type[ExporterError],
    url: str,
    store: LocalStore,
    exported: Dataset | None = None,
    **options: Any,
) -> str:
    """The message of an export that must fail, after looking at what it leaves behind."""
    before = store.read_manifest("logs", DAY)
    with pytest.raises(kind) as caught:
        export(url, exported or dataset(), DAY, store, **options)
    assert store.read_manifest("logs", DAY) == before
    assert list((store.root / "logs" / ".staging").iterdir()) == []
    assert caught.value.hint
    printed = "".join(traceback.format_exception(caught.value))
    assert SECRET not in printed
    message = str(caught.value)
    assert "\n" not in message
    return message


# Configuration that does not fit the database


def test_an_unknown_table_is_answered_with_the_tables_that_exist(
    published: Backend, store: LocalStore
) -> None:
    published.run('CREATE SCHEMA app; CREATE VIEW app."Odd One" AS SELECT 1')
    message = refused(UnknownTableError, published.url, store, dataset(source={"table": "lgos"}))
    assert "'lgos' of logs does not exist" in message
    assert "(there are: app.Odd One, public.anomalies, public.ip_addresses, public.logs)" in message


@pytest.mark.parametrize("table", ["nowhere.logs", "Logs", "logs; DROP TABLE logs", 'a"b'])
def test_a_table_name_is_never_anything_but_a_name(
    published: Backend, store: LocalStore, table: str
) -> None:
    message = refused(UnknownTableError, published.url, store, dataset(source={"table": table}))
    assert "public.logs" in message


@pytest.mark.parametrize("table", ["one.two.three", "logs.", ".logs"])
def test_a_table_name_of_no_known_shape_is_refused(
    published: Backend, store: LocalStore, table: str
) -> None:
    message = refused(ConfigurationError, published.url, store, dataset(source={"table": table}))
    assert "`name` or `schema.name`" in message


def test_a_missing_column_is_answered_with_the_columns_that_exist(
    published: Backend, store: LocalStore
) -> None:
    published.run("ALTER TABLE logs RENAME level TO log_level")
    message = refused(ColumnMismatchError, published.url, store)
    assert "Column 'level' of table 'logs'" in message
    assert "(there are: id, timestamp, log_level, message," in message
    assert "level: the_other_name" in message


def test_a_mapped_column_must_exist_even_if_it_is_optional(
    published: Backend, store: LocalStore
) -> None:
    mapped = dataset(source={"columns": {"device": "hostname"}})
    assert "'hostname'" in refused(ColumnMismatchError, published.url, store, mapped)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER timestamp TYPE uuid USING gen_random_uuid()", "has the type uuid, but 'timestamp'"),
        ("ALTER timestamp TYPE bigint USING 1", "needs timestamptz, timestamp or date"),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_both_types(
    published: Backend, store: LocalStore, change: str, said: str
) -> None:
    published.run(f"ALTER TABLE logs {change}")
    assert said in refused(ColumnMismatchError, published.url, store)


def test_a_number_stored_as_text_is_refused(backend: Backend, store: LocalStore) -> None:
    backend.run("ALTER TABLE anomalies ALTER score TYPE text")
    with pytest.raises(ColumnMismatchError, match="'score' of table 'anomalies' has the type text"):
        export(backend.url, dataset("anomalies"), DAY, store)


@pytest.mark.parametrize("pg_type", ["timestamp", "date", "text"])
def test_a_naive_time_column_needs_a_timezone(
    published: Backend, store: LocalStore, pg_type: str
) -> None:
    published.run(f"ALTER TABLE logs ALTER timestamp TYPE {pg_type}")
    zoneless = dataset(source={"timezone": None})
    message = refused(ColumnMismatchError, published.url, store, zoneless)
    assert f"has the type {pg_type}" in message
    assert "`timezone:`" in message


@pytest.fixture
def newer_zone(tmp_path: Path) -> Iterator[str]:
    """A zone that Python knows and the server, whose data is older, does not."""
    known = next(path for path in map(Path, zoneinfo.TZPATH) if (path / "Europe/Paris").exists())
    (tmp_path / "zones" / "Europe").mkdir(parents=True)
    shutil.copy(known / "Europe" / "Paris", tmp_path / "zones" / "Europe" / "Gaul")
    zoneinfo.reset_tzpath([tmp_path / "zones", *zoneinfo.TZPATH])
    source_config._zones.cache_clear()
    yield "Europe/Gaul"
    zoneinfo.reset_tzpath()
    source_config._zones.cache_clear()


def test_a_timezone_that_the_server_does_not_know_is_named(
    published: Backend, store: LocalStore, newer_zone: str
) -> None:
    published.run("ALTER TABLE logs ALTER timestamp TYPE timestamp")
    newer = dataset(source={"timezone": newer_zone})
    assert "'Europe/Gaul'" in refused(ConfigurationError, published.url, store, newer)


def test_a_failed_cast_is_not_mistaken_for_an_unknown_timezone(
    published: Backend, store: LocalStore
) -> None:
    published.run(
        "CREATE FUNCTION zoned(zone text) RETURNS timestamptz LANGUAGE sql STABLE "
        "AS 'SELECT now() AT TIME ZONE zone AT TIME ZONE zone'"
    )
    for cell in (f"(left(message, 0) || '{SECRET}')::timestamptz", f"zoned(level || '{SECRET}')"):
        published.run(
            f"CREATE OR REPLACE VIEW broken AS SELECT id, level, message, source, {cell} "
            "AS timestamp FROM logs"
        )
        message = refused(ExporterError, published.url, store, dataset(source={"table": "broken"}))
        assert "does not know the timezone" not in message


def test_a_table_without_select_privilege_is_refused(published: Backend, store: LocalStore) -> None:
    role = f"reader_{published.url.split('/')[3].split('?')[0]}"
    published.run(f"CREATE ROLE {role}")
    try:
        url = f"{published.url}&options=-c%20role%3D{role}"
        message = refused(UnknownTableError, url, store)
        assert "may not be read by this user" in message
        assert "GRANT SELECT ON logs" in message
    finally:
        published.run(f"DROP ROLE {role}")


def test_a_lock_that_is_held_too_long_is_named_with_its_holder(
    published: Backend, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter_pipelines.sources.postgres.connection.LOCK_TIMEOUT_S", 1)
    with psycopg.connect(published.url, application_name="migration") as holder:
        holder.execute("LOCK TABLE logs")
        message = refused(SourceUnavailableError, published.url, store)
        pid = holder.info.backend_pid
    assert "The rows of logs stayed locked for 1 s" in message
    assert f"logs by process {pid} of postgres (migration)" in message
    assert export(published.url, dataset(), DAY, store).record_count == 3


@pytest.mark.parametrize(
    ("encodings", "pg_type", "said"),
    [
        ({"timestamp": "epoch_s"}, "timestamptz", "a number or text, because `encodings:` is"),
        ({}, "bigint USING 1", "or a number with `encodings:`"),
    ],
)
def test_an_encoding_must_fit_the_type(
    published: Backend, store: LocalStore, encodings: dict[str, str], pg_type: str, said: str
) -> None:
    published.run(f"ALTER TABLE logs ALTER timestamp TYPE {pg_type}")
    encoded = dataset(source={"encodings": encodings})
    assert said in refused(ColumnMismatchError, published.url, store, encoded)


@pytest.mark.parametrize("encodings", [{"nope": "epoch_s"}, {"level": "epoch_s"}])
def test_only_a_time_column_has_an_encoding(encodings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="encodings:"):
        dataset(source={"encodings": encodings})


# URLs


def test_a_missing_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORTER_OTHER_URL", raising=False)
    with pytest.raises(MissingSettingError, match="EXPORTER_OTHER_URL is not set"):
        project_settings.source_url("EXPORTER_OTHER_URL")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:%zz{SECRET}@127.0.0.1:1/db",
        f"postgresql://user:{SECRET} x@127.0.0.1:1/db",
        f"postgresql://user:a@{SECRET}@127.0.0.1:1/db",
        f"postgresql://user:a/{SECRET}@127.0.0.1:1/db",
        f"postgresql://user:{SECRET}/a@127.0.0.1:1/db",
        f"postgresql://user:{SECRET}@[::1:1/db",
        f"postgresql://user:{SECRET}@127.0.0.1:port/db",
        f"postgresql://user:{SECRET}@127.0.0.1:1/db?nonsense=1",
        f"postgresql://user:{SECRET}",
        f"mysql://user:{SECRET}@127.0.0.1/db",
        f"user:{SECRET}@127.0.0.1/db",
    ],
)
def test_a_malformed_url_is_never_shown(store: LocalStore, url: str) -> None:
    assert "EXPORTER_SOURCE_URL" in refused(ConfigurationError, url, store)


def test_an_unreachable_server_is_named_without_its_password(store: LocalStore) -> None:
    url = f"postgresql://ann:{SECRET}@127.0.0.1:1/db"
    message = refused(SourceUnavailableError, url, store)
    assert "at 127.0.0.1:1, database db, user ann" in message
    assert "refused" in message


def test_a_database_that_does_not_exist_is_named(published: Backend, store: LocalStore) -> None:
    name = published.url.split("/")[3].split("?")[0]
    message = refused(SourceUnavailableError, published.url.replace(name, "no_such_db"), store)
    assert 'database "no_such_db" does not exist' in message
    assert "EXPORTER_SOURCE_URL" in message


@pytest.fixture
def guarded_role(backend: Backend) -> Iterator[str]:
    """A role of the embedded server that must give the password `right`."""
    if os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        pytest.skip("changes pg_hba.conf, which only the embedded server is ours to change")
    role = f"guarded_{backend.url.split('/')[3].split('?')[0]}"
    ((hba_path,),) = backend.run("SHOW hba_file")
    hba = Path(hba_path)
    before = hba.read_text()
    backend.run(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    hba.write_text(f"local all {role} scram-sha-256\n{before}")
    backend.run("SELECT pg_reload_conf()")
    try:
        yield role
    finally:
        hba.write_text(before)
        backend.run("SELECT pg_reload_conf()")
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("password", [f":{SECRET}", ""])
def test_a_wrong_password_is_never_shown(
    published: Backend, store: LocalStore, guarded_role: str, password: str
) -> None:
    url = published.url.replace("postgres@", f"{guarded_role}{password}@", 1)
    message = refused(SourceUnavailableError, url, store)
    assert f"user {guarded_role}" in message
    assert "password" in message
    assert "Correct the user or password in EXPORTER_SOURCE_URL" in message


def test_the_right_password_is_accepted(
    published: Backend, store: LocalStore, guarded_role: str
) -> None:
    published.run(f"GRANT SELECT ON logs TO {guarded_role}")
    url = published.url.replace("postgres@", f"{guarded_role}:right@", 1)
    assert export(url, dataset(), DAY, store).record_count == 3


# In the middle


@pytest.fixture
def large(published: Backend) -> Backend:
    """The published day, since grown by 80 MB: more than all buffers between disk and server."""
    published.add_logs(DAY, 800, first_id=100, message="x" * 100_000)
    return published


SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'exporter_pipelines' AND datname = current_database()
"""
CUT = SESSIONS.replace("count(*)", "pg_terminate_backend(pid)")
CANCEL = SESSIONS.replace("count(*)", "pg_cancel_backend(pid)")


def once(action: Callable[[], object]) -> Callable[[int, int], None]:
    """A `report` that acts when the first batch has been exported."""
    calls = []

    def report(read: int, total: int) -> None:
        calls.append(read)
        if len(calls) == 1:
            assert read < total
            action()

    return report


def test_a_connection_that_is_cut_in_the_stream_fails_the_day(
    large: Backend, store: LocalStore
) -> None:
    cut = once(lambda: large.run(CUT))
    message = refused(SourceLostError, large.url, store, progress=cut)
    assert "Lost the connection to PostgreSQL" in message
    assert "Nothing of this day was published" in message
    assert export(large.url, dataset(), DAY, store).record_count == 803


def test_a_cancelled_statement_fails_the_day(large: Backend, store: LocalStore) -> None:
    cancel = once(lambda: large.run(CANCEL))
    message = refused(SourceLostError, large.url, store, progress=cancel)
    assert "canceling statement due to user request" in message


BROKEN_VIEW = """
CREATE VIEW broken AS SELECT id, timestamp, level, source,
    CASE WHEN id = {id} THEN {cell}::int::text ELSE message END AS message
FROM logs
"""


@pytest.mark.parametrize("cell", [SECRET, f'"{SECRET}', f'a"{SECRET}', f'a"\n{SECRET}"'])
def test_a_cell_that_the_server_cannot_cast_is_never_shown(
    published: Backend, store: LocalStore, cell: str
) -> None:
    text = sql.Literal(cell).as_string(None)
    published.run(BROKEN_VIEW.format(id=3, cell=f"(left(message, 0) || {text})"))
    broken = dataset(source={"table": "broken"})
    message = refused(SourceLostError, published.url, store, broken)
    assert "stopped the query: invalid input syntax for type integer: (value not shown)" in message


@pytest.mark.parametrize("quotes", ["»«", "„“", "«»", "「」", '""'])
def test_a_message_of_any_language_ends_where_it_quotes_a_value(quotes: str) -> None:
    opening, closing = quotes
    # The embedded server speaks English only.
    message = _without_values(f"ungültige Eingabesyntax: {opening}{SECRET}{closing}")
    assert message == "ungültige Eingabesyntax: (value not shown)"


@pytest.mark.parametrize("sqlstate", ["42P01", "57014", "P0001", "08006"])
def test_the_text_that_a_function_raises_is_never_shown(
    published: Backend, store: LocalStore, sqlstate: str
) -> None:
    published.run(
        "CREATE FUNCTION raising(cell text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION 'relation {SECRET} % does not exist', cell USING errcode = '{sqlstate}'; "
        "END $$"
    )
    published.run(
        "CREATE VIEW broken AS SELECT id, level, raising(message) AS message, source, timestamp "
        "FROM logs"
    )
    message = refused(ExporterError, published.url, store, dataset(source={"table": "broken"}))
    assert f"error {sqlstate} in a function of the database" in message


def test_a_server_error_late_in_the_stream_fails_the_day(large: Backend, store: LocalStore) -> None:
    large.run("CREATE INDEX in_order ON logs (timestamp, id)")
    name = large.run("SELECT current_database()")[0][0]
    large.run(f"ALTER DATABASE {name} SET enable_sort = off")
    last = large.run("SELECT id FROM logs ORDER BY timestamp DESC, id DESC LIMIT 1")[0][0]
    large.run(BROKEN_VIEW.format(id=last, cell=f"(left(message, 0) || '{SECRET}')"))
    read = []
    broken = dataset(source={"table": "broken"})
    refused(SourceLostError, large.url, store, broken, progress=lambda n, _: read.append(n))
    assert read


def test_a_cell_that_breaks_the_count_is_never_shown(published: Backend, store: LocalStore) -> None:
    published.run(
        "CREATE VIEW broken AS SELECT id, level, message, source, "
        f"timestamp + (left(message, 0) || '{SECRET}')::interval AS timestamp FROM logs"
    )
    message = refused(ExporterError, published.url, store, dataset(source={"table": "broken"}))
    assert "invalid input syntax for type interval" in message


def test_an_export_that_ends_early_lets_go_of_the_connection(
    large: Backend, store: LocalStore
) -> None:
    def fail() -> None:
        raise MissingSettingError("stop", "hint")

    refused(MissingSettingError, large.url, store, progress=once(fail))
    left = "no session of the export is left"
    wait_until(lambda: large.run(SESSIONS), left, until=lambda found: found == [(0,)])
    assert len(rows(store, export(large.url, dataset(), DAY, store))) == 803
