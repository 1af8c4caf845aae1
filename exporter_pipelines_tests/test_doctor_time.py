"""`exporter doctor` on keys, indexes and time columns of PostgreSQL."""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from click.testing import CliRunner

from exporter_pipelines import cli
from exporter_pipelines.errors import NotAnsweredError
from exporter_pipelines.sources.postgres import inspection
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.doctor_runs import DAY, STRANGER, Doctor


def test_a_missing_index_is_answered_with_its_statement(doctor: Doctor, backend: Backend) -> None:
    backend.run("CREATE TABLE IF NOT EXISTS x (); DROP INDEX logs_timestamp_idx")
    doctor.run()
    statement = doctor.found("warn", "index")["hint"]
    assert re.fullmatch(r'CREATE INDEX CONCURRENTLY ON "\w+"."logs" \("timestamp"\);', statement)
    backend.run(statement.replace("CONCURRENTLY", ""))
    doctor.run()
    assert doctor.found("ok", "index")


def test_an_index_of_a_partitioned_table_is_not_made_concurrently(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs RENAME TO old")
    backend.run("CREATE TABLE logs (LIKE old) PARTITION BY RANGE (timestamp)")
    doctor.run()
    statement = doctor.found("warn", "index")["hint"]
    backend.run(statement)
    doctor.run()
    assert doctor.found("ok", "index")
    assert doctor.found("warn", "days")["message"] == "logs has no rows with a usable timestamp"


def test_a_view_needs_no_index(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME TO old; CREATE VIEW logs AS SELECT * FROM old")
    doctor.run()
    assert not [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "index")]
    assert doctor.found("ok", "days")


def test_a_key_without_a_unique_index_is_looked_at(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs DROP CONSTRAINT logs_pkey")
    doctor.run()
    assert doctor.found("warn", "key")["message"] == "id has no unique index, or may be null"
    backend.run("ALTER TABLE logs ALTER id DROP NOT NULL; CREATE UNIQUE INDEX ids ON logs (id)")
    doctor.run()
    assert doctor.found("warn", "key")["message"] == "id has a unique index, but may be null"
    backend.run("DROP INDEX ids")
    backend.run("UPDATE logs SET id = 1")
    doctor.run()
    assert "has repeated values" in doctor.found("warn", "key")["message"]


@pytest.mark.parametrize("pg_type", ["timestamp", "date"])
def test_a_naive_time_needs_a_zone(doctor: Doctor, backend: Backend, pg_type: str) -> None:
    backend.run(f"ALTER TABLE logs ALTER timestamp TYPE {pg_type}")
    doctor.run()
    assert "read as UTC" in doctor.found("ok", "zone")["message"]
    doctor.edit("logs", "timezone: UTC", "# no zone")
    doctor.run()
    assert "`timezone:`" in doctor.found("FAIL", "types")["message"]


@pytest.fixture
def other_rules(tmp_path: Path) -> Iterator[None]:
    """This process has the rules of Moscow for Berlin, as if a country had changed its clocks."""
    rules = next(
        path for folder in map(Path, zoneinfo.TZPATH) if (path := folder / "Europe/Moscow").exists()
    )
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe/Berlin").write_bytes(rules.read_bytes())
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(tmp_path), *before])
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(before)
    ZoneInfo.clear_cache()


@pytest.mark.parametrize("pg_type", ["timestamp", "text"])
def test_other_rules_of_a_zone_on_the_server_are_noticed(
    doctor: Doctor, backend: Backend, other_rules: None, pg_type: str
) -> None:
    backend.run(f"ALTER TABLE logs ALTER timestamp TYPE {pg_type}")
    doctor.run()
    assert not [finding for finding in doctor.said if finding["check"] == "zone rules"]
    doctor.edit("logs", "timezone: UTC", "timezone: Europe/Berlin")
    doctor.run()
    message = doctor.found("warn", "zone rules")["message"]
    assert "different rules for Europe/Berlin: in 3 of 3 weeks, first on 2026-11-01" in message
    assert message.endswith("with UTC+01:00 and UTC+03:00")


def test_rows_without_a_day_are_counted(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp DROP NOT NULL")
    backend.run(
        "INSERT INTO logs (id, timestamp) VALUES (-1, NULL), (-2, 'infinity'), (-3, '-infinity'), "
        "(-4, '10000-01-01'), (-5, '0001-01-01 BC')"
    )
    doctor.run()
    message = doctor.found("FAIL", "dayless rows")["message"]
    assert "without a usable timestamp (null, infinite or not a date): 5" in message
    assert "Of the first 8 rows 5: `null` (1), `infinity` (1), `-infinity` (1), `9" in message
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"


def test_days_are_those_of_the_zone(doctor: Doctor, backend: Backend) -> None:
    backend.run("UPDATE logs SET timestamp = '2026-11-02T23:30:00Z'")
    doctor.set(EXPORTER_TIMEZONE="Europe/Berlin")
    doctor.run()
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-03 to 2026-11-03"
    backend.run("ALTER TABLE logs ALTER timestamp TYPE timestamp USING '2026-11-02 20:30'")
    doctor.edit("logs", "timezone: UTC", "timezone: America/New_York")
    doctor.run()
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-03 to 2026-11-03"


def test_a_newest_row_in_the_future_tells_of_a_wrong_zone(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp TYPE timestamp")
    backend.run("UPDATE logs SET timestamp = now() AT TIME ZONE 'Asia/Tokyo'")
    doctor.set(EXPORTER_END_DATE="")
    doctor.run()
    said = [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "days")]
    assert said[-1]["level"] == "warn"
    assert "is in the future" in said[-1]["message"]
    doctor.edit("logs", "timezone: UTC", "timezone: Asia/Tokyo")
    doctor.run()
    assert doctor.found("ok", "days")


def test_a_range_without_rows_is_a_warning(doctor: Doctor) -> None:
    doctor.set(EXPORTER_START_DATE="2026-11-05")
    doctor.run()
    assert "EXPORTER_START_DATE=2026-11-01" in doctor.found("warn", "days")["hint"]


def test_a_question_that_takes_too_long_is_given_up(doctor: Doctor, backend: Backend) -> None:
    backend.run("ALTER TABLE logs RENAME TO old")
    backend.run(
        "CREATE VIEW logs AS SELECT old.* FROM old, (SELECT pg_sleep(9) IS NULL AS x) AS slow "
        "WHERE NOT x"
    )
    done = CliRunner().invoke(cli.main, ["doctor", "--json", "--dataset", "logs"])
    said = {f["check"]: f for f in json.loads(done.output)}
    assert said["days"]["level"] == "warn"
    assert "no answer within 1 s" in said["days"]["message"]
    assert "With an index on the column" in said["days"]["hint"]
    assert said["privileges"]["level"] == "warn"


def test_an_index_is_missed_only_where_it_would_help(
    doctor: Doctor, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.add_logs(DAY, 20_000, first_id=10)
    backend.run("ALTER TABLE logs ALTER timestamp TYPE text")
    monkeypatch.setattr(inspection, "TEXT_TIMEOUT_MS", 5)
    doctor.run("--dataset", "logs")
    assert doctor.found("ok", "index")
    for check in ("dayless rows", "days"):
        found = doctor.found("warn", check)
        assert found["message"] == "Could not be checked: no answer within 0.005 s"
        assert found["hint"].startswith("Converting the values of the column to times takes longer")


def test_an_index_that_exists_is_not_missed(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run("CREATE INDEX ON logs (timestamp)")
    source = dataset("logs").config.source
    slow = f"SELECT pg_sleep(9), q.* FROM ({inspection.questions.SPAN}) AS q"
    monkeypatch.setattr(inspection.questions, "SPAN", slow)
    with inspection.PostgresInspection(backend.url, "EXPORTER_SOURCE_URL") as asked:
        relation = asked.find(source)
        assert relation
        with pytest.raises(NotAnsweredError) as caught:
            asked.span(relation, "timestamp", source, "UTC")
    assert caught.value.hint.startswith("An index starts with the column.")


@pytest.mark.parametrize("type_name", ["timestamptz", "text"])
def test_a_table_that_another_session_has_locked_is_not_called_large(
    doctor: Doctor, backend: Backend, type_name: str
) -> None:
    backend.run(f"ALTER TABLE logs ALTER timestamp TYPE {type_name}")
    with psycopg.connect(backend.url) as other:
        other.execute("LOCK TABLE logs")
        done = CliRunner().invoke(cli.main, ["doctor", "--json", "--dataset", "logs"])
    said = {f["check"]: f for f in json.loads(done.output)}
    assert "no answer within" in said["days"]["message"]
    assert "Another session has locked the table" in said["days"]["hint"]
    assert "is large" not in done.output


@pytest.mark.parametrize(
    ("stored", "encoding"),
    [
        ("extract(epoch FROM occurred_at)::bigint", "epoch_s"),
        ("(extract(epoch FROM occurred_at) * 1000)::bigint", "epoch_ms"),
        ("(extract(epoch FROM occurred_at) * 1000000)::numeric", "epoch_us"),
        ("extract(epoch FROM occurred_at)::float8", "epoch_s"),
        ('to_char(occurred_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')', None),
    ],
)
def test_times_as_numbers_or_text_are_exported_with_what_is_proposed(
    doctor: Doctor, backend: Backend, store: LocalStore, stored: str, encoding: str | None
) -> None:
    backend.run(STRANGER)
    backend.run(
        "CREATE TABLE ops.archive AS SELECT event_uuid, log_level, msg, program, "
        f"{stored} AS occurred_at FROM ops.event_stream; DROP TABLE ops.event_stream"
    )
    doctor.run("--dataset", "logs")
    doctor.paste("logs", doctor.found("FAIL", "table"))
    assert doctor.configured("logs").get("encodings") == (
        {"timestamp": encoding} if encoding else None
    )
    doctor.run("--dataset", "logs")
    assert doctor.code == 0, doctor.output
    assert doctor.found("ok", "days")["message"] == "Rows from 2026-11-01 to 2026-11-01"
    assert doctor.found("ok", "dayless rows")
    mapped = dataset(source=doctor.configured("logs"))
    assert export(backend.url, mapped, DAY, store).record_count == 1
    backend.run("UPDATE ops.archive SET occurred_at = NULL")
    doctor.run("--dataset", "logs")
    message = doctor.found("FAIL", "dayless rows")["message"]
    assert "without a usable occurred_at (null, infinite or not a date): 1." in message


def test_a_number_without_an_encoding_is_answered_with_one(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run("ALTER TABLE logs ALTER timestamp TYPE bigint USING extract(epoch FROM timestamp)")
    doctor.run()
    assert "encodings" in doctor.found("FAIL", "types")["message"]
    doctor.paste("logs", doctor.found("FAIL", "columns"))
    assert doctor.configured("logs")["encodings"] == {"timestamp": "epoch_s"}
    doctor.run()
    assert doctor.code == 0


def test_a_query_is_looked_at_as_a_table_is(doctor: Doctor, backend: Backend) -> None:
    doctor.edit("logs", "table: logs", 'query: "SELECT * FROM logs WHERE id < 2 -- few"')
    doctor.run()
    assert doctor.found("ok", "table")["message"].startswith("The query ")
    assert doctor.found("ok", "days")
    assert not [f for f in doctor.said if (f["dataset"], f["check"]) == ("logs", "index")]
    backend.run("ALTER TABLE logs RENAME level TO lvl")
    doctor.run()
    found = doctor.found("FAIL", "columns")
    assert "table:" not in found["hint"]
    assert "level: lvl" in found["hint"]
    doctor.edit("logs", "SELECT *", "SELEKT *")
    doctor.run()
    assert "syntax error" in doctor.found("FAIL", "table")["message"]
    assert doctor.found("FAIL", "table")["hint"] == "Correct `query` in its defs.yaml."


def test_the_form_of_times_that_cannot_be_read_is_shown_without_their_content(
    doctor: Doctor, backend: Backend
) -> None:
    backend.run(
        "ALTER TABLE logs ALTER timestamp TYPE text USING to_char(timestamp, 'DD Mon YYYY HH24:MI')"
    )
    doctor.run("--dataset", "logs")
    found = doctor.found("FAIL", "dayless rows")
    assert "`99 Aaa 9999 99:99` (3)" in found["message"]
    assert "2026" not in found["message"]
    backend.run("INSERT INTO logs (id, timestamp) SELECT n, '2026-11-01 09:00' FROM "
                "generate_series(10, 19) n")  # fmt: skip
    doctor.run("--dataset", "logs")
    assert "Of the first 13 rows 3" in doctor.found("warn", "dayless rows")["message"]
