"""Privacy policies proposed from the data: they load as written, and the export is clean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from exporter_pipelines import extras
from exporter_pipelines.cli import main
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.policy_proposals import SampledColumn, proposed_policy
from exporter_pipelines.policy_proposals.names import guessed, is_plain
from exporter_pipelines.sources.sqlite.inspection import SqliteInspection
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support import foreign_persons
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import (
    DATABASES,
    Database,
    sqlite_database,
)
from exporter_pipelines_tests.support.datasets import rows
from exporter_pipelines_tests.support.foreign_persons import DAY, RAW, TABLE
from exporter_pipelines_tests.support.init_runs import Init, initiated
from exporter_pipelines_tests.support.private_days import KEY, KEY_NAME, everything_below

NAME = "audittrail"


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Somebody else's table, in both kinds of database."""
    with DATABASES[request.param](request, tmp_path) as found:
        foreign_persons.fill(found)
        yield found


@pytest.fixture
def init(
    settings: dict[str, str],
    database: Database,
    tmp_path: Path,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Init]:
    """`exporter init` on that database."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "working_directory"))
    with initiated(tmp_path, store, monkeypatch) as found:
        yield found.read(database.url)


def run(*arguments: str) -> str:
    """A command in this process, its output and its errors; it must succeed."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def assert_nothing_raw(text: str) -> None:
    assert [raw for raw in RAW if raw in text.lower()] == []


def test_the_proposal_of_init_loads_as_written_and_its_export_is_clean(
    init: Init, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = init.run(TABLE)
    written = init.text(NAME, "defs.yaml")
    assert_nothing_raw(said + written)
    assert init.dataset(NAME).config.privacy is None, "it is not active"
    run("export", NAME, DAY)
    assert "anna.kohl" in everything_below(store.root)

    file = init.defs / NAME / "defs.yaml"
    start = written.index("  # privacy:")
    file.write_text(written[:start] + re.sub(r"(?m)^  # ", "  ", written[start:]))
    policy = init.dataset(NAME).config.privacy
    assert policy
    assert {name: each.title for name, each in policy.columns.items()} == {
        "Benutzer": "pseudonym:user", "workstation": "pseudonym:host",
        "remote_addr": "pseudonym:ip", "contact_mail": "pseudonym:email",
        "hwaddr": "pseudonym:mac", "Bemerkung": "scan", "payload": "scan", "program": "scan",
        "sessionId": "hash", "api_token": "redact", "mobile": "hash", "lat": "drop",
        "user_id": "pseudonym:user", "select": "scan", "vacant": "scan",
    }  # fmt: skip
    assert policy.keep == ("entryNo", "severity", "bytes")
    assert policy.columns["payload"].keys == {
        "hwaddr": "mac", "peer": "host", "pwd": "redact", "session": "hash", "token": "redact",
        "userName": "user",
    }  # fmt: skip

    monkeypatch.setenv(KEY_NAME, KEY)
    run("export", NAME, DAY)
    manifest = Manifest.from_json(store.read_manifest(NAME, DAY) or b"")
    assert manifest.privacy
    assert manifest.privacy.leak_check
    assert (manifest.record_count, manifest.privacy.leak_check.hits) == (foreign_persons.ROWS, 0)
    assert_nothing_raw(everything_below(store.root))
    found = rows(store, manifest)
    assert len({row["Benutzer"] for row in found}) == 5
    assert run("verify", NAME, "--privacy")


def test_a_policy_can_be_active_at_once_and_is_proposed_once(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    init.run(TABLE, "--privacy")
    assert init.dataset(NAME).config.privacy
    done = CliRunner().invoke(main, ["export", NAME, DAY])
    assert done.exit_code == 3
    assert f"{KEY_NAME} is not set" in done.output
    assert "Traceback" not in done.output
    monkeypatch.setenv(KEY_NAME, KEY)
    run("export", NAME, DAY)


def test_the_doctor_proposes_the_same_and_shows_no_value(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    init.run(TABLE)
    commented = init.text(NAME, "defs.yaml").partition("  # privacy:")[2]
    line = next(
        line for line in run("doctor", "--dataset", NAME).splitlines() if "personal data" in line
    )
    assert line.startswith("ok ")
    assert "Benutzer (by its name)" in line
    assert f"`exporter doctor --dataset {NAME} --privacy` prints a policy." in line
    said = run("doctor", "--dataset", NAME, "--privacy")
    assert_nothing_raw(said)
    block = "  privacy:" + re.split(r"\n(?:ok|warn|FAIL) ", said.partition("  privacy:")[2])[0]
    proposed = yaml.safe_load(block)["privacy"]
    assert proposed == yaml.safe_load("privacy:" + re.sub(r"(?m)^  # ", "", commented))["privacy"]

    file = init.defs / NAME / "defs.yaml"
    file.write_text(file.read_text() + block.replace("      - severity", "      - workstation2"))
    assert "workstation2" in CliRunner().invoke(main, ["doctor", "--dataset", NAME]).output
    kept = block.replace("Bemerkung: {action: scan}", "Bemerkung: {action: keep}")
    file.write_text(file.read_text().partition("  privacy:\n")[0] + kept)
    monkeypatch.setenv(KEY_NAME, KEY)
    said = run("doctor", "--dataset", NAME)
    assert re.search(r"warn .*The policy keeps columns .*: Bemerkung \(\d+ IP addresses", said)
    assert_nothing_raw(said)


def test_a_table_with_the_schema_of_the_logs_gets_a_policy_for_all_its_columns(
    settings: dict[str, str],
    backend: Backend,
    tmp_path: Path,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also for those that the table lacks, and for those that only the table has."""
    backend.run(
        "DROP TABLE logs, anomalies, ip_addresses;"
        "CREATE TABLE journal (id bigint PRIMARY KEY, ts timestamptz, severity text, msg text,"
        " program text, hostname text, client_ip inet, owner text, weight real, tags text[]);"
        f"INSERT INTO journal SELECT n, '{DAY}T01:00Z', 'info', 'from 10.1.2.' || n, 'sshd',"
        " 'ws-' || n % 3 || '-berlin', '10.1.2.3', 'anna.kohl', 1.5, ARRAY['x', 'anna.kohl']"
        " FROM generate_series(1, 60) n"
    )
    with initiated(tmp_path, store, monkeypatch) as init:
        init.read(backend.url).run("journal", "--force", "--privacy")
        monkeypatch.setenv(KEY_NAME, KEY)
        policy = init.dataset("logs").config.privacy
        assert policy
        assert {"attributes", "owner", "tags"} <= set(policy.columns)
        assert "weight" in policy.keep
        manifest = init.export("logs", DAY)
        assert manifest.record_count == 60
        assert_nothing_raw(everything_below(store.root))
        before = init.text("logs", "defs.yaml")
        init.run("journal", "--force", "--privacy")
        assert init.text("logs", "defs.yaml").count("  privacy:") == before.count("  privacy:") == 1


def test_a_proposal_is_replaced_by_a_new_one(
    settings: dict[str, str], backend: Backend, tmp_path: Path, store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    backend.add_logs(DAY, 20)
    with initiated(tmp_path, store, monkeypatch) as init:
        init.read(backend.url).run("logs", "--force")
        first = init.text("logs", "defs.yaml")
        assert first.count("  # privacy:") == 1
        init.run("logs", "--force")
        assert init.text("logs", "defs.yaml") == first


def test_without_the_packages_nothing_is_proposed(
    init: Init, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "privacy", ("a_package_that_is_not_there",))
    assert "pip install -e '.[privacy]'" in init.run(TABLE)
    assert "privacy" not in init.text(NAME, "defs.yaml")
    assert "extra 'privacy', which is not installed" in run(
        "doctor", "--dataset", NAME, "--privacy"
    )
    assert "personal data" not in run("doctor", "--dataset", NAME)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("user_name", "user"), ("userId", "user"), ("created_by", "user"), ("sort_by", None),
        ("clientIP", "ip"), ("src_ip4", "ip"), ("ip_reputation", None), ("address", "personal"),
        ("HostName", "host"), ("device_type", None), ("mac_address", "mac"),
        ("email_verified", None), ("password_hash", "secret"), ("apiKey", "secret"),
        ("first_name", "personal"), ("name", None), ("user_agent", "text"), ("log_id", None),
        ("Straße", "personal"), ("", None), ("日本", None),
    ],
)  # fmt: skip
def test_names_suggest_what_values_are(name: str, guess: str | None) -> None:
    assert guessed(name) == guess


def test_keys_of_documents_are_shown_only_if_they_are_known_words() -> None:
    assert all(map(is_plain, ("user", "srcIp", "x-forwarded-for", "remote_user_name")))
    assert not any(
        map(is_plain, ("user_anna", "anna@firma.test", "10.1.2.3", "user4711", "", "a" * 50))
    )


_UUID = "0190163d-8694-739b-aea5-966c26f8ad91"


def column(name: str, *values: str | None, **more: Any) -> SampledColumn:
    return SampledColumn(name, more.pop("kind", "string"), values, **more)


def test_a_kept_column_that_repeats_a_masked_name_is_scanned() -> None:
    found = proposed_policy([
        column("login", "payments", "anna.k"), column("service", *["payments", "cron"] * 5),
    ]).policy  # fmt: skip
    assert found.columns["service"].action == "scan"


@pytest.mark.parametrize(
    ("key", "action"),
    [
        (column("id", "1", "2", is_key=True), "keep"),
        (column("reading", "a-1", "b-2", is_key=True), "keep"),
        (column("address", "10.1.2.3", "10.1.2.4", is_key=True), "pseudonym"),
        (column("ref", "x 10.1.2.3", "y", is_key=True), "hash"),
        (column("session_id", "abc", "def", is_key=True), "hash"),
        (column("token", "abc", "def", is_key=True), "hash"),
        (column("row_key", is_key=True, parts=("login",)), "hash"),
        (column("user_id", "1", kind="int64", is_key=True), "pseudonym"),
        (column("uid", _UUID, is_key=True), "keep"),
        (column("uid", is_key=True, type_name="uuid"), "keep"),
        (column("uid", _UUID, "anna.k", is_key=True), "pseudonym"),
        (column("user_uid", _UUID, is_key=True), "pseudonym"),
    ],
)
def test_a_key_still_identifies_a_row(key: SampledColumn, action: str) -> None:
    policy = proposed_policy([key, column("login", "anna.k")]).policy
    how = policy.of(key.name)
    assert how
    assert how.action == action


def test_a_column_uid_that_is_no_key_is_a_user() -> None:
    policy = proposed_policy([column("id", "1", is_key=True), column("uid", _UUID)]).policy
    assert policy.columns["uid"].action == "pseudonym"


def test_hostile_names_are_written_so_that_they_load() -> None:
    names = ["a: b", "#x", "it's", 'quo"ted', "日本", "new\nline", "- x", "null", "{y}", "\x1b[31m"]
    proposal = proposed_policy([column(name, "10.1.2.3", "x y z 10.1.2.3") for name in names])
    loaded = yaml.safe_load(proposal.yaml())["privacy"]
    assert PrivacyConfig(**loaded) == proposal.policy
    assert "\x1b" not in proposal.yaml()


def test_a_sqlite_table_is_sampled_at_both_ends(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "many.db")
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT, note TEXT, raw BLOB)")
    database.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "INSERT INTO t SELECT i, '2026-11-01', CASE WHEN i > 4900 THEN '10.1.2.3' ELSE 'x' END, "
        "x'ff00' FROM n"
    )
    with SqliteInspection(database.url, "EXPORTER_SOURCE_URL") as inspection:
        [table] = inspection.relations()
        texts = inspection.sampled_texts(table, ["note", "raw"])
    assert len(texts["note"]) == 2000
    assert texts["note"].count("10.1.2.3") == 100
    assert set(texts["raw"]) == {None}
