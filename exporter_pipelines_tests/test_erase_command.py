"""The command `exporter erase`: wrong input, exit codes, and that no value is ever printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter_pipelines.cli.erase import erase
from exporter_pipelines.engine.erased_subjects import own_tombstones
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.private_days import DAY, KEY, KEY_NAME, sqlite_logs
from exporter_pipelines_tests.support.projects import ROOT

ROWS = [
    ("login of anna.k", "edge-07", "10.1.2.3", {"user": "anna.k"}),
    ("login of admin", "anna.k", None, {"user": "admin"}),
    ("login of bert.m", "edge-08", "10.1.2.4", None),
]


@pytest.fixture
def exports(tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A published day in the output folder of the environment."""
    monkeypatch.setenv(KEY_NAME, KEY)
    export(sqlite_logs(tmp_path / "logs.db", ROWS), dataset(), DAY, store)
    monkeypatch.setenv("EXPORTER_OUTPUT_URL", str(store.root))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return store


def run(values: str, *options: str, kind: str = "user", request: str = "R-1") -> Result:
    return CliRunner().invoke(erase, ["--kind", kind, "--request", request, *options], values)


def test_it_lists_then_erases(exports: LocalStore) -> None:
    listed = run("anna.k\n")
    assert listed.exit_code == 0, listed.output
    assert "logs 2026-11-01  1 row to remove, 2 texts to redact" in listed.output
    assert "would be erased with --apply" in listed.output
    done = run("anna.k\n", "--apply")
    assert done.exit_code == 0, done.output
    assert "1 row and 2 texts in 1 day erased" in done.output
    assert "Not reached: backups" in done.output
    again = run("anna.k\n", "--apply")
    assert again.exit_code == 0, again.output
    assert "found nowhere" in again.output
    assert len(list(own_tombstones(exports, "logs"))) == 1
    for result in (listed, done, again):
        assert "anna.k" not in result.output


def test_values_may_come_from_a_file(exports: LocalStore, tmp_path: Path) -> None:
    file = tmp_path / "values.txt"
    file.write_text("10.1.2.3\n\n10.1.2.4\n")
    done = run("", "--value-file", str(file), "--apply", "--json", kind="ip")
    document = json.loads(done.output[: done.output.rindex("}") + 1])
    assert (document["applied"], document["problems"]) == (True, [])
    assert document["found"][0]["rows"] == 2
    assert exports.entries("logs", DAY)[-1].reason == "erasure: R-1"


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ("", "user", "no value to erase"),
        (" \n\n", "user", "no value to erase"),
        ("anna", "ip", "not an IP address"),
        ("10.1.2.0/24", "ip", "not an IP address"),
        ("10.1.2.3:80", "ip", "not an IP address"),
        ("anna", "mac", "not a MAC address"),
        ("anna", "email", "not an e-mail address"),
        ("---", "user", "no letter and no digit"),
    ],
)
def test_a_wrong_value_is_refused_with_one_sentence(
    exports: LocalStore, values: str, kind: str, said: str
) -> None:
    refused = run(values, "--apply", kind=kind)
    assert refused.exit_code == 2
    assert said in refused.output
    assert "Traceback" not in refused.output
    assert "anna" not in refused.output
    assert list(own_tombstones(exports, "logs")) == []


def test_wrong_options_are_refused(exports: LocalStore) -> None:
    assert run("anna.k", kind="person").exit_code == 2
    assert "is not an id" in run("anna.k", request="of anna").output
    named = run("anna.k", "--apply", request="erase-anna.k")
    assert named.exit_code == 2
    assert "has the value to erase" in named.output
    turned = run("anna.k", "--days", "2026-11-02", "2026-11-01")
    assert turned.exit_code == 2
    assert "before the first" in turned.output


@pytest.mark.parametrize("value", ["admin", "bob", "4711", "127.0.0.1"])
def test_a_usual_word_needs_force(exports: LocalStore, value: str) -> None:
    before = exports.read_manifest("logs", DAY)
    listed = run(value)
    assert listed.exit_code == 0
    assert "1 of 1 values are short, numbers or usual words" in listed.output
    refused = run(value, "--apply")
    assert refused.exit_code == 1
    assert exports.read_manifest("logs", DAY) == before
    assert run(value, "--apply", "--force").exit_code == 0


def test_the_key_of_a_dataset_that_was_never_exported_is_asked_for(
    exports: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORTER_DEFS_DIR", str(ROOT / "exporter_pipelines" / "defs"))
    monkeypatch.delenv(KEY_NAME)
    assert run("anna.k\n").exit_code == 0, "the list needs no key"
    refused = run("anna.k\n", "--apply")
    assert refused.exit_code == 2
    assert f"logs_shareable has a privacy policy, and its key {KEY_NAME} is not" in refused.output
    assert refused.stderr.startswith("Error: "), "a setting is wrong, not the usage"
    assert "remove its definition instead" in refused.output
    assert "1 row to remove" in run("anna.k\n").output, "nothing was erased"


def test_only_the_chosen_days_are_searched(exports: LocalStore) -> None:
    listed = run("anna.k", "--days", "2026-11-02", "2026-11-30")
    assert "found nowhere" in listed.output


def test_a_damaged_day_is_an_error(exports: LocalStore) -> None:
    [file] = (exports.root / "logs" / "data" / f"date={DAY}").glob("*.gz")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    result = run("anna.k", "--apply")
    assert result.exit_code == 1
    assert "logs 2026-11-01 may still have it" in result.output
    assert "does not have the sha256" in result.output
