"""`exporter init`: what it writes loads, and exports every row that belongs to a day."""

from __future__ import annotations

import errno
import re
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter_pipelines.sources.postgres import inspection, profile
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.datasets import rows
from exporter_pipelines_tests.support.doc_examples import example, indented
from exporter_pipelines_tests.support.doctor_runs import STRANGER
from exporter_pipelines_tests.support.init_runs import Init, initiated
from exporter_pipelines_tests.support.projects import ROOT

DAY = "2026-11-01"


@pytest.fixture
def init(
    settings: dict[str, str],
    backend: Backend,
    tmp_path: Path,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Init]:
    """The command on an empty database, in a project with the tests' definitions."""
    backend.run("DROP TABLE logs, anomalies, ip_addresses")
    with initiated(tmp_path, store, monkeypatch) as found:
        yield found.read(backend.url)


ALL_TYPES = """
CREATE TYPE mood AS ENUM ('calm', 'tense');
CREATE TABLE readings (reading_id bigint PRIMARY KEY, taken_at timestamptz NOT NULL,
    small smallint, normal int NOT NULL, ratio real, exact double precision NOT NULL,
    price numeric(10, 2), huge numeric, tiny numeric,
    flag boolean, letter char(3), title varchar, mood mood,
    code uuid, place inet, net cidr, mac macaddr, raw bytea, span interval, clock time, born date,
    local timestamp, ends timestamptz, doc jsonb NOT NULL, plain json, tags text[], cost money,
    pair int4range, nothing text);
INSERT INTO readings SELECT n, '2026-11-01T00:00Z'::timestamptz + n * interval '1 minute',
    n, n, n / 3.0, CASE WHEN n = 7 THEN 'NaN' ELSE n / 3.0 END,
    n / 100.0, 12345678901234567890.5 + n,
    CASE WHEN n = 4 THEN 1e-400 ELSE 1 END, n % 2 = 0, 'ab', 't' || n % 3,
    CASE WHEN n % 2 = 0 THEN 'calm' ELSE 'tense' END::mood, gen_random_uuid(), '10.0.0.1',
    '10.0.0.0/8', '08:00:2b:01:02:03', '\\xff00', '1 hour', '12:00', '1990-05-01',
    '2026-11-01 10:00', CASE WHEN n = 3 THEN 'infinity' ELSE now() END,
    CASE WHEN n = 5 THEN 'null' ELSE '{"a": 1}' END::jsonb, '[1]', '{a,b}', 12.5, '[1,5)', NULL
FROM generate_series(1, 100) n;
INSERT INTO readings (reading_id, taken_at, normal, exact, doc)
VALUES (101, '2026-11-01T23:00Z', 1, 1, '{}');
"""


def test_every_row_of_every_type_is_exported(init: Init, backend: Backend) -> None:
    backend.run(ALL_TYPES)
    said = init.run("readings")
    assert "key          reading_id: has a unique index" in said
    assert "time column  taken_at (or ends, local)" in said
    manifest = init.export("readings", DAY)
    assert (manifest.counts.read, manifest.counts.exported) == (101, 101)
    text = init.text("readings")
    assert "# public.mood, null in 1 of 101 rows\n    # Values: calm, tense\n" in text
    assert "as text, because a double would lose digits" in text
    assert "1990-05-01" not in text
    nullable = {
        column.name for column in init.dataset("readings").schema.columns if column.nullable
    }
    assert {"reading_id", "taken_at", "normal"}.isdisjoint(nullable)
    assert {"exact", "doc"} <= nullable, "NaN and a JSON null are written as null"


HOSTILE = r"""
CREATE SCHEMA "Old Data";
CREATE TABLE "Old Data"."Order's ^^lines^^ #1" ("Order ID" int PRIMARY KEY,
    "select" timestamptz NOT NULL, "class" text, "Size" text, "SIZE" text, "Größe" text,
    "date" text, "validate" text, "with
newline" text, _id int, "1st" text, "pa" text,
    "{brace}: # x" text, "日本" text, "a \ ^^b^^" text);
INSERT INTO "Old Data"."Order's ^^lines^^ #1" VALUES (1, '2026-11-01T01:00Z', 'c', 's', 'S', 'g',
    'd', 'v', 'n', 2, 'f', 'p', 'b', 'j', 'q');
"""


def test_names_that_python_yaml_and_readers_cannot_have(
    init: Init, backend: Backend, store: LocalStore
) -> None:
    backend.run(HOSTILE.replace("^", '"'))
    init.run('Order\'s "lines" #1', "--schema", "Old Data")
    [row] = rows(store, init.export("order_s_lines_1", DAY))
    assert row == {
        "Order_ID": 1, "select": "2026-11-01T01:00:00.000000Z", "class_": "c", "Size": "s",
        "SIZE_": "S", "Grosse": "g", "date_": "d", "validate_": "v", "with_newline": "n", "id": 2,
        "column_1st": "f", "pa_": "p", "brace_x": "b", "column_14": "j", "a_b": "q",
    }  # fmt: skip


ODD = """
CREATE TABLE no_key (at timestamptz, amount int);
INSERT INTO no_key VALUES ('2026-11-01', 1), ('2026-11-01', 1);
CREATE TABLE no_time (id int PRIMARY KEY, kind text, happened_at text);
INSERT INTO no_time VALUES (1, 'x', 'last summer');
CREATE TABLE two_keys (site int, nr int, seen_at timestamptz, row_key int,
    PRIMARY KEY (site, nr));
INSERT INTO two_keys SELECT n % 2, n / 2, '2026-11-01T01:00Z', 1 FROM generate_series(0, 9) n;
CREATE TABLE parts (event_id bigint, at timestamptz, PRIMARY KEY (event_id, at))
    PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
INSERT INTO parts SELECT n, '2026-11-01T01:00Z' FROM generate_series(0, 9) n;
CREATE VIEW seen AS SELECT nr + 10 * site AS id, seen_at FROM two_keys;
CREATE TABLE epochs (id int PRIMARY KEY, created_ms bigint NOT NULL, updated_at timestamptz);
INSERT INTO epochs SELECT n, 1793523600000 + n, now() FROM generate_series(1, 5) n;
CREATE TABLE texts (id uuid PRIMARY KEY, logged text, score int);
INSERT INTO texts SELECT gen_random_uuid(), '2026-11-01 0' || n || ':00:00', n
FROM generate_series(1, 5) n;
INSERT INTO texts VALUES (gen_random_uuid(), NULL, 1);
CREATE TABLE nothing (id int PRIMARY KEY, at timestamp);
CREATE SCHEMA "v1.0";
CREATE TABLE "v1.0"."door.log" (id int PRIMARY KEY, at timestamptz);
INSERT INTO "v1.0"."door.log" VALUES (1, '2026-11-01T01:00Z');
CREATE TABLE hosts (id int PRIMARY KEY, born date, valid_until timestamptz, changed timestamptz);
INSERT INTO hosts VALUES (1, '1990-05-01', '2026-11-01T01:00Z', NULL);
"""


def test_odd_tables_are_written_or_refused_with_what_to_do(init: Init, backend: Backend) -> None:
    backend.run(ODD)
    said = init.run("--all", "--timezone", "UTC")
    assert "Skipped: no_key has no key: no unique index on columns that are NOT NULL" in said
    assert "Skipped: no_time has no time column" in said
    assert "(happened_at) cannot be used for one of these reasons" in said
    assert "create a view with a column that identifies a row" in said
    counts = {
        "two_keys": 10,
        "parts": 10,
        "seen": 10,
        "epochs": 5,
        "texts": 5,
        "nothing": 0,
        "hosts": 1,
        "log": 1,
    }
    for name, count in counts.items():
        assert init.export(name, DAY).record_count == count
    assert init.source("two_keys")["key"] == "row_key_"
    assert init.source("parts")["key"] == "event_id", "a partition key is not needed"
    assert init.source("epochs")["encodings"] == {"created_ms": "epoch_ms"}
    assert "Without a usable logged: 1 row, in no day and never exported" in said
    assert "Error: no_key has no key" in init.run("no_key", code=1)
    init.run("v1.0.door.log", "--name", "doors")
    assert init.export("doors", DAY).record_count == 1


def test_numbers_that_may_be_times_are_named_and_can_be_chosen(
    init: Init, backend: Backend
) -> None:
    backend.run(
        "CREATE TABLE beats (id int PRIMARY KEY, sampled bigint NOT NULL, bytes bigint);"
        "INSERT INTO beats SELECT n, 1793523600 + n, 42 FROM generate_series(1, 5) n;"
    )
    said = init.run("beats", code=1)
    assert "sampled: the numbers look like seconds or milliseconds since 1970" in said
    assert "exporter init beats --time-column sampled" in said
    assert "no time column, but sampled looks like one" in init.run()
    assert "no column 'bytes' with times" in init.run("beats", "--time-column", "bytes", code=1)
    init.run("beats", "--time-column", "sampled")
    assert init.source("beats")["encodings"] == {"sampled": "epoch_s"}
    assert init.export("beats", DAY).record_count == 5


def test_of_equally_likely_time_columns_the_one_with_an_index_is_taken(
    init: Init, backend: Backend
) -> None:
    backend.run(
        "CREATE TABLE peers (id bigint PRIMARY KEY, last_met timestamptz, first_met timestamptz);"
        "CREATE INDEX ON peers (first_met);"
        "INSERT INTO peers SELECT n, '2026-11-01', '2026-11-01' FROM generate_series(1, 9) n"
    )
    assert "time column  first_met (or last_met)" in init.run("peers")
    assert init.source("peers")["time_column"] == "first_met"


def test_a_chosen_time_column_comes_before_the_one_of_a_shipped_dataset(
    init: Init, backend: Backend
) -> None:
    backend.run(STRANGER.replace("DROP TABLE logs, anomalies, ip_addresses;", ""))
    init.run("ops.event_stream", "--time-column", "occurred_at", "--force")
    assert init.source("logs")["columns"]["timestamp"] == "occurred_at"
    init.run("ops.known_hosts", "--time-column", "first_seen_at")
    assert init.source("known_hosts")["time_column"] == "first_seen_at"


@pytest.mark.parametrize("written", ['"Old Data"."Doors"', "Old Data.doors", "doors", '"Doors"'])
def test_the_table_that_was_meant_is_named(init: Init, backend: Backend, written: str) -> None:
    backend.run(
        'CREATE SCHEMA "Old Data"; CREATE TABLE "Old Data"."Doors" (id int PRIMARY KEY);'
        "CREATE TABLE outdoors (id int PRIMARY KEY)"
    )
    said = init.run(written, code=1)
    assert "Did you mean 'Old Data.Doors'? Write schema.table for another schema" in said
    assert "Did you mean" not in init.run("windows", code=1)


def test_local_times_ask_for_their_zone(init: Init, backend: Backend) -> None:
    backend.run(
        "CREATE TABLE visits (id int PRIMARY KEY, at timestamp NOT NULL);"
        "INSERT INTO visits VALUES (1, '2026-11-01 00:30')"
    )
    assert (
        "The times in at have no time zone and are read as UTC, like EXPORTER_TIMEZONE"
        in init.run("visits")
    )
    assert "# CHECK THIS" in init.text("visits", "defs.yaml")
    assert "WARN" not in init.run("visits", "--timezone", "Asia/Tokyo", "--force")
    assert init.export("visits", "2026-10-31").record_count == 1
    assert "not an IANA time zone" in init.run("visits", "--timezone", "Mars", code=2)


def test_personal_values_are_not_written(init: Init, backend: Backend) -> None:
    backend.run(
        "CREATE TABLE actions (id int PRIMARY KEY, at timestamptz, kind text, username text,"
        "  target text, handled_by text, note varchar(9));"
        "INSERT INTO actions SELECT n, '2026-11-01', (ARRAY['open', 'shut'])[n % 2 + 1], 'ada',"
        "  'ada@example.org', 'bob', 'remark' FROM generate_series(1, 20) n"
    )
    said = init.run("actions")
    text = init.text("actions")
    assert "# Values: open, shut" in text
    assert "may be personal data: username, target, handled_by, note." in text
    for value in ("ada", "bob", "remark"):
        assert value not in text + said + init.text("actions", "defs.yaml")


def _with_rules(text: str) -> str:
    """A schema in which a user removed `# ` from the lines of the proposed rules."""
    fields, mark, rest = text.partition("    # To use it, remove")
    fields = re.sub(r"^    # (?=\w+: pa.string = .*isin=)", "    ", fields, flags=re.MULTILINE)
    note, _, rule = rest.partition("\n")
    return f"{fields}{mark}{note}\n" + re.sub("^    # ?", "    ", rule, flags=re.MULTILINE)


RULES = """
CREATE TABLE visits (id int PRIMARY KEY, at timestamptz NOT NULL, peer text, via text, door text,
    state varchar(9) NOT NULL, place inet);
INSERT INTO visits SELECT n, '2026-11-01'::timestamptz + n * interval '1 minute',
    '10.0.0.' || n, '10.0.0.' || n || ':80', CASE WHEN n > 1 THEN E'"a"\\n\u00e4#' END,
    CASE WHEN n % 2 = 0 THEN 'open' ELSE 'shut' END, '10.0.0.1' FROM generate_series(1, 50) n;
"""


def test_rules_are_proposed_as_comments_that_only_need_to_be_activated(
    init: Init, backend: Backend
) -> None:
    backend.run(RULES)
    said = init.run("visits")
    assert "rules        proposed for peer, door, state, place, as comments in schema.py" in said
    assert {rule for rule, _ in init.dataset("visits").schema.rules} == {"required"}
    file = init.defs / "visits" / "schema.py"
    file.write_text(_with_rules(file.read_text()))
    backend.run(
        "INSERT INTO visits SELECT 60 + n, '2026-11-01', CASE WHEN n < 3 THEN 'nowhere' END, NULL,"
        "  CASE WHEN n > 4 THEN 'c' END, CASE WHEN n > 2 THEN 'odd' ELSE 'open' END,"
        "  CASE WHEN n > 4 THEN '10.0.0.0/24'::inet END FROM generate_series(1, 5) n"
    )
    manifest = init.export("visits", DAY)
    assert manifest.counts.exported == 50
    failed = {(r.rule, r.column): r.failed for r in manifest.validation.rules if r.failed}
    assert failed == {
        ("valid_address", "peer"): 2, ("valid_address", "place"): 1, ("isin", "door"): 1,
        ("isin", "state"): 3,
    }  # fmt: skip


OWN_RULES = """
CREATE SCHEMA billing;
CREATE TABLE billing.gateway_events (ev int PRIMARY KEY, begun timestamptz NOT NULL,
    ended timestamptz, peer text, severity text NOT NULL, score real, country text);
INSERT INTO billing.gateway_events SELECT n, '2026-11-01T01:00Z', '2026-11-01T02:00Z', '10.0.0.1',
    'low', 0.5, 'DE' FROM generate_series(1, 90) n;
INSERT INTO billing.gateway_events VALUES
    (101, '2026-11-01T01:00Z', NULL, NULL, 'mid', NULL, NULL),
    (102, '2026-11-01T01:00Z', '2026-11-01T00:00Z', '10.0.0', 'none', 1.5, 'Germany'),
    (103, '2026-11-01T01:00Z', '2026-11-01T01:00Z', '::1', 'high', -1, 'AT');
"""


def test_the_class_of_the_page_has_the_rules_that_it_names(init: Init, backend: Backend) -> None:
    backend.run(OWN_RULES)
    init.run("billing.gateway_events")
    file = init.defs / "gateway_events" / "schema.py"
    written = file.read_text()
    assert "class GatewayEventsRow" in written
    file.write_text(written.partition("class ")[0] + example("own-rules.py"))
    manifest = init.export("gateway_events", DAY)
    failed = {rule.rule: rule.failed for rule in manifest.validation.rules if rule.failed}
    assert failed == {
        "isin": 1, "greater_than_or_equal_to": 1, "less_than_or_equal_to": 1, "str_matches": 1,
        "valid_address": 1, "ended_after_begun": 1,
    }  # fmt: skip
    assert manifest.counts.exported == 91
    page = (ROOT / "docs" / "rules.md").read_text()
    assert all(f"`{name}`" in page for name in failed)


def test_proposed_rules_reject_no_value_that_they_were_proposed_for(
    init: Init, backend: Backend
) -> None:
    backend.run(ALL_TYPES)
    init.run("readings")
    file = init.defs / "readings" / "schema.py"
    assert file.read_text().count("isin=[") == 2, "letter and mood"
    file.write_text(_with_rules(file.read_text()))
    assert init.export("readings", DAY).counts.exported == 101


def test_a_folder_is_replaced_only_with_force(init: Init, backend: Backend) -> None:
    backend.run("CREATE TABLE doors (id int PRIMARY KEY, at timestamptz)")
    printed = init.run("doors", "--dry-run")
    assert "class DoorsRow(" in printed
    assert not (init.defs / "doors").exists()
    init.run("doors")
    (init.defs / "doors" / "rules.py").write_text("mine")
    (init.defs / "doors" / "schema.py").write_text("mine")
    assert "doors exists. Nothing was written." in init.run("doors", code=1)
    assert init.text("doors") == "mine"
    init.run("doors", "--force")
    assert "class DoorsRow(" in init.text("doors")
    assert init.text("doors", "rules.py") == "mine"
    init.run("doors", "--name", "gates")
    assert init.dataset("gates").name == "gates"
    assert sorted(each.name for each in init.defs.parent.iterdir()) == ["defs"]


def test_rows_that_are_marked_as_deleted_are_exported_until_a_filter_leaves_them_out(
    init: Init, backend: Backend
) -> None:
    backend.run(
        "CREATE TABLE doors (id int PRIMARY KEY, at timestamptz, deleted_at timestamptz,"
        '  is_deleted boolean, "wasRemoved" boolean, deleted_by text, undeleted int);'
        "INSERT INTO doors VALUES (1, '2026-11-01', NULL, NULL), (2, '2026-11-01', now(), NULL),"
        "  (3, '2026-11-01', NULL, true), (4, '2026-11-01', NULL, false)"
    )
    said = init.run("doors", "--time-column", "at")
    assert "deleted      deleted_at, is_deleted, wasRemoved may mark deleted rows" in said
    assert init.export("doors", DAY).counts.exported == 4
    file = init.defs / "doors" / "defs.yaml"
    file.write_text(file.read_text() + indented(example("deleted.yaml")))
    manifest = init.export("doors", DAY)
    assert (manifest.counts.exported, manifest.counts.filtered) == (2, 2)


def test_a_dry_run_ends_with_the_command_that_writes(init: Init, backend: Backend) -> None:
    backend.run(
        'CREATE SCHEMA "Old Data"; CREATE TABLE "Old Data".doors (id int PRIMARY KEY, at timestamp)'
    )
    options = ("--schema", "Old Data", "--name", "gates", "--timezone", "Asia/Tokyo")
    said = init.run("doors", *options, "--dry-run").splitlines()
    command = "exporter init doors --schema 'Old Data' --name gates --timezone Asia/Tokyo"
    assert said[-2:] == ["Nothing was written. Next:", f"  {command}"]
    assert "  privacy      no personal data was found. A policy" in "\n".join(said)
    init.run(*shlex.split(command)[2:])
    assert init.source("gates")["timezone"] == "Asia/Tokyo"
    said = init.run("doors", *options, "--dry-run").splitlines()
    assert said[-2].startswith("  # --force replaces the files of ")
    assert said[-1] == f"  {command} --force"
    init.run(*shlex.split(said[-1])[2:])


def test_another_database_is_named_by_its_variable(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run("CREATE TABLE doors (id int PRIMARY KEY, at timestamptz)")
    monkeypatch.setenv("DOORS_URL", init.url)
    monkeypatch.delenv("EXPORTER_SOURCE_URL")
    said = init.run("--url", "DOORS_URL")
    assert "exporter init --url DOORS_URL doors" in said
    said = init.run("--url", "DOORS_URL", "doors")
    assert "not in this database" not in said, "the samples are in the other one"
    assert init.source("doors")["url"] == "DOORS_URL"
    assert init.export("doors", DAY).record_count == 0
    assert "variable NO_URL is not set" in init.run("--url", "NO_URL", code=1)
    said = init.run("--url", "postgresql://ada:secret@db/x", code=2)
    assert "--url takes the name of an environment variable" in said
    assert "secret" not in said


def _written_in(folder: Path) -> list[Path]:
    """Everything but bytecode, which Python writes at any time."""
    return sorted(each for each in folder.rglob("*") if "__pycache__" not in each.parts)


def test_what_cannot_be_written_changes_nothing(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run("CREATE TABLE doors (id int PRIMARY KEY, at timestamptz)")
    before = _written_in(init.defs)

    def full(*_arguments: object, **_options: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        assert "cannot be written: No space left on device" in init.run("doors", code=1)
    assert _written_in(init.defs) == before
    assert sorted(each.name for each in init.defs.parent.iterdir()) == ["defs"]


def test_tables_are_listed_with_what_would_be_chosen(init: Init, backend: Backend) -> None:
    backend.run(ODD + STRANGER.replace("DROP TABLE logs, anomalies, ip_addresses;", ""))
    said = init.run()
    lines = {line.split()[0]: " ".join(line.split()) for line in said.splitlines() if line}
    assert lines["epochs"] == ("epochs 5 2026-11-01..2026-11-01 id created_ms with its own schema")
    assert lines["no_key"] == "no_key 2 - - - not as it is: no key"
    assert lines["ops.event_stream"] == (
        "ops.event_stream 1 2026-11-01..2026-11-01 event_uuid occurred_at with the schema of logs"
    )
    assert "exporter init --all" in said
    assert not (init.defs / "epochs").exists()
    assert "ops.detections" in init.run("--schema", "ops")
    assert "epochs, hosts, no_key," in init.run("no_such", code=1)


def test_a_large_table_is_read_in_part(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(
        "CREATE TABLE big (id int PRIMARY KEY, at timestamptz NOT NULL, kind text);"
        "INSERT INTO big SELECT n, '2026-11-01', 'a' FROM generate_series(1, 110000) n;"
        "ANALYZE big"
    )
    monkeypatch.setattr(profile, "FULL_READ_MS", 3)
    monkeypatch.setattr(profile, "_SAMPLE_ROWS", 500)
    said = init.run("big")
    assert "big, about 110,000 rows" in said
    assert "are those of a sample of " in init.text("big")


def test_a_rule_from_sampled_values_says_so(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(
        "CREATE TABLE doors (id int PRIMARY KEY, at timestamptz, state text);"
        "INSERT INTO doors SELECT n, '2026-11-01', 'open' FROM generate_series(1, 100) n"
    )
    init.run("doors")
    assert "Types, nulls and values in comments are those of all 100 rows." in init.text("doors")
    assert 'isin=["open"])  # allows no other value\n' in init.text("doors")
    monkeypatch.setattr(profile, "_VALUE_ROWS", 50)
    init.run("doors", "--force")
    text = " ".join(init.text("doors").split())
    assert "Types and nulls in comments are those of all 100 rows, values those of a sample" in text
    assert "Values: open (in a sample of 50 rows)" in text
    assert "# allows no other value; others may exist: only a sample was read" in text


def test_a_time_column_is_not_called_a_text(init: Init, backend: Backend) -> None:
    backend.run(
        "CREATE TABLE doors (id int PRIMARY KEY, created_on timestamp, ends timestamp);"
        "INSERT INTO doors VALUES (1, '2026-11-01', 'infinity'), (2, 'infinity', NULL)"
    )
    init.run("doors", "--timezone", "UTC")
    text = init.text("doors")
    as_time = 'created_on: Annotated[pa.timestamp, "us", "UTC"]'
    as_text = "ends: pa.string = pandera.Field(nullable=True)"
    assert f"# timestamp, rows without a usable time belong to no day\n    {as_time}\n" in text
    assert "beyond year 9999, null in 1 of 2 rows\n    " + as_text in text


def test_a_table_whose_days_are_not_known_gets_its_own_command(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.run(
        "CREATE TABLE journal (id int PRIMARY KEY, happened text NOT NULL);"
        "INSERT INTO journal SELECT n, '2019-11-01 01:00' FROM generate_series(1, 20000) n;"
        "CREATE INDEX ON journal (happened);"
        "CREATE TABLE visits (id int PRIMARY KEY, at timestamptz NOT NULL);"
        "INSERT INTO visits VALUES (1, '2026-11-01'), (2, '2026-11-03')"
    )
    monkeypatch.setattr(inspection, "TEXT_TIMEOUT_MS", 5)
    said = init.run("journal", "visits", "--timezone", "UTC")
    assert (
        "The first and last day of happened could not be read: no answer within 0.005 s. "
        "Converting the values of the column to times takes longer than that."
    ) in said
    assert said.partition("  exporter doctor\n")[2].splitlines() == [
        "  exporter export visits 2026-11-03",
        "  exporter export visits 2026-11-01 2026-11-03 --days-with-rows",
        "  # The days of journal could not be read in time. Replace FIRST and LAST",
        "  # with the first and last day of the table:",
        "  exporter export journal FIRST LAST --days-with-rows",
    ]


KEYS_OF_OTHERS = """
CREATE TABLE guarded (id int PRIMARY KEY, at timestamptz, msg text);
CREATE TABLE pair (a int, b int, at timestamptz, PRIMARY KEY (a, b));
CREATE TABLE spare (a int, b int, at timestamptz, code int NOT NULL UNIQUE, PRIMARY KEY (a, b));
CREATE TABLE two (id int PRIMARY KEY, code int NOT NULL UNIQUE, at timestamptz);
INSERT INTO spare VALUES (1, 1, '2026-11-01T01:00Z', 7);
INSERT INTO two VALUES (1, 7, '2026-11-01T01:00Z');
GRANT SELECT (at, msg) ON guarded TO {role};
GRANT SELECT (b, at) ON pair TO {role};
GRANT SELECT (b, at, code) ON spare TO {role};
GRANT SELECT (at, code) ON two TO {role};
"""


def test_a_key_that_a_role_may_not_read_is_not_chosen(init: Init, backend: Backend) -> None:
    role = f"reader_{secrets.token_hex(6)}"
    backend.run(f"CREATE ROLE {role} LOGIN; {KEYS_OF_OTHERS.format(role=role)}")
    try:
        init.read(backend.url.replace("postgres@", f"{role}@", 1))
        said = init.run()
        for table in ("guarded", "pair"):
            [line] = [line for line in said.splitlines() if line.startswith(table)]
            assert "not as it is: its key needs" in line
        said = init.run("--all")
        assert "Skipped: The key of guarded needs id, which this user may not read" in said
        assert "GRANT SELECT (id) ON guarded to the user" in said
        assert "GRANT SELECT (a) ON pair to the user" in said
        for table in ("spare", "two"):
            assert init.source(table)["key"] == "code"
            assert init.export(table, DAY).record_count == 1
    finally:
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_unique_column_that_may_be_null_is_the_key_unless_a_row_is_null(
    init: Init, backend: Backend
) -> None:
    for table, code in (("full_codes", "'b'"), ("gaps", "NULL")):
        backend.run(
            f"CREATE TABLE {table} (at timestamptz, code text UNIQUE);"
            f"INSERT INTO {table} VALUES ('{DAY}T01:00Z', 'a'), ('{DAY}T02:00Z', {code})"
        )
    said = init.run("full_codes", "gaps", code=1)
    assert "key          code: has a unique index, and no row is null in it" in said
    assert "gaps has no key" in said
    assert init.export("full_codes", DAY).record_count == 2


def test_a_look_for_nulls_that_takes_too_long_ends_no_init(
    init: Init, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old statistics, by which most rows are null, make the server read the whole table."""
    backend.run(
        "CREATE TABLE big (code int UNIQUE, at timestamptz) WITH (autovacuum_enabled = off);"
        f"INSERT INTO big SELECT NULL, '{DAY}' FROM generate_series(1, 200000) n; ANALYZE big;"
        "TRUNCATE big;"
        f"INSERT INTO big SELECT n, '{DAY}' FROM generate_series(1, 200000) n"
    )
    monkeypatch.setattr(profile, "NULL_READ_MS", 3)
    assert "big has no key: no unique index on columns that are NOT NULL" in init.run("big", code=1)
    monkeypatch.setattr(profile, "NULL_READ_MS", 60_000)
    assert "key          code: has a unique index, and no row is null" in init.run("big")


def test_an_index_that_does_not_cover_inheriting_tables_makes_no_key(
    init: Init, backend: Backend
) -> None:
    row = f"('{DAY}T01:00Z', 1, 1)"
    for table, unique in (("one", "UNIQUE (a)"), ("two", "PRIMARY KEY (a, b)")):
        backend.run(
            f"CREATE TABLE {table} (at timestamptz, a int, b int, {unique});"
            f"CREATE TABLE {table}_more () INHERITS ({table});"
            f"INSERT INTO {table} VALUES {row}; INSERT INTO {table}_more VALUES {row}"
        )
        assert f"{table} has no key" in init.run(table, code=1)


def test_only_what_a_role_may_read_is_written(init: Init, backend: Backend) -> None:
    role = f"reader_{secrets.token_hex(6)}"
    backend.run(
        f"CREATE ROLE {role} LOGIN;"
        "CREATE TABLE hidden (id int PRIMARY KEY, at timestamptz);"
        f"ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; GRANT SELECT ON hidden TO {role};"
        "CREATE TABLE partly (a int, b int, at timestamptz, salary int, PRIMARY KEY (a, b));"
        "INSERT INTO partly VALUES (1, 1, '2026-11-01T01:00Z', 7), (1, 2, '2026-11-01T01:00Z', 8);"
        f"GRANT SELECT (a, b, at) ON partly TO {role}; CREATE TABLE closed (id int PRIMARY KEY)"
    )
    try:
        init.read(backend.url.replace("postgres@", f"{role}@", 1))
        said = init.run("--all")
        assert "Skipped: This user has no permission to read closed" in said
        assert "Skipped: Policies of hidden may hide rows from this role" in said
        assert "salary" not in said + init.text("partly") + init.text("partly", "defs.yaml")
        assert init.export("partly", DAY).record_count == 2
    finally:
        backend.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
