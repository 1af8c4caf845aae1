"""Policies that leave something open are refused when they are loaded, in one sentence."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

import exporter_pipelines
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.defs_files import Definitions
from exporter_pipelines.doctor.privacy import examine_privacy
from exporter_pipelines.errors import ConfigurationError, UnknownNameError
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.datasets import dataset, export
from exporter_pipelines_tests.support.definitions import copy_definitions
from exporter_pipelines_tests.support.private_days import (
    DAY,
    KEY,
    KEY_NAME,
    POLICY,
    private,
    sqlite_logs,
)


def policy_with(**columns: Any) -> dict[str, Any]:
    return {"columns": {**POLICY["columns"], **columns}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": ["id", "level"]}, "does not say what happens to 'source'"),
        ({"keep": ["id", "level", "source", "sauce"]}, "column 'sauce' does not exist"),
        (policy_with(timestamp={"action": "drop"}), "is the time column"),
        (policy_with(timestamp={"action": "hash"}), "cannot have the action 'hash'"),
        (policy_with(attributes={"action": "pseudonym", "kind": "ip"}), "(json) cannot have the"),
        (policy_with(device={"action": "generalise", "to": "hour"}), "cannot have the action"),
        ({**policy_with(id={"action": "redact"}), "keep": ["level", "source"]}, "is the key"),
        ({"known": ["nobody"]}, "column 'nobody' does not exist"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        private(privacy=changes)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"key": "s3cret-key="}, "key"),
        ({"key": "K", "columns": {"ip": {"action": "pseudonym"}}}, "`kind` belongs to"),
        ({"key": "K", "columns": {"ip": {"action": "scan", "to": "hour"}}}, "`to` belongs to"),
        ({"key": "K", "columns": {"ip": {"action": "hash", "keys": {"a": "user"}}}}, "`keys`"),
        ({"key": "K", "columns": {"ip": {"action": "generalise", "to": [33, 0]}}}, "0 to 32"),
        ({"key": "K", "columns": {"ip": {"action": "hide"}}}, "action"),
        ({"key": "K", "columns": {"ip": {"action": "keep"}}, "keep": ["ip"]}, "in `columns` and"),
        ({"key": "K", "epoch": "a b"}, "epoch"),
    ],
)
def test_a_policy_in_itself_is_checked(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="PrivacyConfig") as refused:
        PrivacyConfig.model_validate(policy)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.fixture
def defs(tmp_path: Path) -> Path:
    """The definitions, in which the logs have a policy."""
    folder = tmp_path / "defs"
    copy_definitions(folder)
    write(folder / "logs" / "defs.yaml", privacy=POLICY)
    return folder


def write(file: Path, **attributes: Any) -> None:
    document = yaml.safe_load(file.read_text())
    document["attributes"] |= attributes
    file.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "cannot remove the policy"),
        ({"columns": {"device": {"action": "keep"}}}, "weaken column 'device'"),
        (
            {"columns": {"device": {"action": "pseudonym", "kind": "user"}}},
            "weaken column 'device'",
        ),
        ({"columns": {"message": {"action": "keep"}}}, "from 'scan' to 'keep'"),
        ({"columns": {"attributes": {"action": "scan", "keys": {"user": "user"}}}}, "weaken"),
        ({"unlisted": "keep"}, "set unlisted to 'keep'"),
        ({"leak_check": "warn"}, "set leak_check to 'warn'"),
        ({"ordinary_words": ["anna.k"]}, "add 'anna.k' to `ordinary_words`"),
    ],
)
def test_a_preset_cannot_weaken_the_policy(
    defs: Path, changes: dict[str, Any] | None, said: str
) -> None:
    write(defs / "logs_light" / "defs.yaml", privacy=changes, select=None)
    with pytest.raises(ConfigurationError) as refused:
        Definitions(defs).named("logs_light")
    assert said in str(refused.value)
    assert "logs_light/defs.yaml:" in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"columns": {"device": {"action": "drop"}, "source": {"action": "hash"}}},
        {"columns": {"message": {"action": "redact"}}, "addresses": "token", "scope": "dataset"},
        {"epoch": "month", "known": ["source"]},
    ],
)
def test_a_preset_may_add_to_the_policy(defs: Path, changes: dict[str, Any]) -> None:
    write(defs / "logs_light" / "defs.yaml", privacy=changes, select=None)
    preset = Definitions(defs).named("logs_light").config.privacy
    assert preset
    assert preset.columns["ip"].kind == "ip"
    for name, each in changes.get("columns", {}).items():
        assert preset.columns[name].action == each["action"]
        assert name not in preset.keep


def test_an_unnamed_column_of_the_source_fails_the_day(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_NAME, KEY)
    url = sqlite_logs(tmp_path / "logs.db")
    with sqlite3.connect(tmp_path / "logs.db") as connection:
        connection.execute("ALTER TABLE logs ADD COLUMN customer TEXT DEFAULT 'petra.m'")
    connection.close()
    with pytest.raises(ConfigurationError, match="does not say what happens to 'customer'"):
        export(url, private(extra_columns="keep"), DAY, store)
    named = policy_with(customer={"action": "pseudonym", "kind": "user"})
    manifest = export(url, private(extra_columns="keep", privacy=named), DAY, store)
    assert manifest.columns[-1].name == "customer"
    with pytest.raises(UnknownNameError, match="customer"):
        private(privacy=named)


def test_the_exported_schema_follows_the_policy() -> None:
    changes = policy_with(
        id={"action": "hash"}, device={"action": "drop"}, attributes={"action": "redact"}
    )
    exported = private(privacy={**changes, "keep": ["level", "source"]})
    schema = exported.exported(exported.schema)
    described = {column.name: column.described()["type"] for column in schema.columns}
    assert "device" not in described
    assert (described["id"], described["attributes"]) == ("string", "string")


def test_the_doctor_checks_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> tuple[str, str]:
        [finding] = examine_privacy(private())
        assert KEY not in finding.message
        return finding.level, finding.message

    monkeypatch.delenv(KEY_NAME, raising=False)
    assert found()[0] == "warn"
    monkeypatch.setenv(KEY_NAME, KEY[:20])
    assert found()[0] == "FAIL"
    monkeypatch.setenv(KEY_NAME, KEY)
    level, message = found()
    assert (level, message) == (
        "ok",
        "Key 3a5fa754, epoch none. Masked: ip, device; scanned for identifiers: message, "
        "attributes (names that are in no column are not found). "
        "Unchanged: id, timestamp, level, source",
    )
    assert not list(examine_privacy(dataset()))


def test_the_shipped_preset_is_one_of_the_logs(tmp_path: Path) -> None:
    folder = tmp_path / "defs"
    copy_definitions(folder)
    shipped = Path(exporter_pipelines.__file__).parent / "defs" / "logs_shareable"
    shutil.copytree(shipped, folder / "logs_shareable")
    preset = Definitions(folder).named("logs_shareable")
    assert preset.config.privacy
    assert set(preset.config.privacy.masked) == {"ip", "device", "message", "attributes"}
