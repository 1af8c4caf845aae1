"""What is wrong with a policy is one sentence of `exporter export`, and nothing is exported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter_pipelines import extras
from exporter_pipelines.defs_files import definitions
from exporter_pipelines_tests.support.databases import sqlite_database
from exporter_pipelines_tests.support.private_days import DAY, KEY_NAME, POLICY, RAW
from exporter_pipelines_tests.support.private_project import PrivateProject, private_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateProject]:
    """A project over SQLite in which every dataset has a policy."""
    folder = tmp_path_factory.mktemp("refusals")
    with private_project(folder / "project", sqlite_database(folder / "logs.db")) as found:
        yield found


def refused(project: PrivateProject, name: str = "logs") -> str:
    """What `exporter export` says; it must export nothing, and say one thing."""
    before = sorted(project.store.root.rglob("*"))
    done = project.run("export", name, DAY)
    assert done.exit_code in (1, 2, 3), done.output
    assert "Traceback" not in done.output
    assert [raw for raw in RAW if raw in done.output.lower()] == []
    after = [path for path in sorted(project.store.root.rglob("*")) if path not in before]
    assert not [path for path in after if path.is_file() and ".lock" not in str(path)], after
    assert not project.store.published_days(name)
    return done.output


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", f"{KEY_NAME} is not set"),
        ("c2hvcnQ=", "has 5 bytes; at least 32 are needed"),
        ("!" * 50, "is not base64"),
        ("A" * 64, "is not random"),
    ],
)
def test_a_key_that_cannot_be_used(
    project: PrivateProject, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    monkeypatch.setenv(KEY_NAME, key)
    output = refused(project)
    assert said in output
    assert not key or key not in output
    assert "head -c 32 /dev/urandom | base64" in output


def test_packages_that_are_not_installed(
    project: PrivateProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.EXTRAS, "privacy", ("a_package_that_is_not_there",))
    said = refused(project)
    assert "the extra 'privacy', which is not installed" in said
    assert "pip install -e '.[privacy]'" in said


@pytest.fixture
def defined(project: PrivateProject) -> Iterator[Callable[..., None]]:
    """Changes attributes of the logs, or of a preset, until the test ends."""
    files: dict[Path, str] = {}

    def change(name: str = "logs", **attributes: Any) -> None:
        file = definitions.DEFS / name / "defs.yaml"
        files.setdefault(file, file.read_text())
        document = yaml.safe_load(file.read_text())
        document["attributes"] |= attributes
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    yield change
    for file, text in files.items():
        file.write_text(text)


def with_columns(**columns: Any) -> dict[str, Any]:
    return {**POLICY, "columns": {**POLICY["columns"], **columns}}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({**POLICY, "keep": ["id", "level"]}, "does not say what happens to 'source'"),
        (with_columns(customer={"action": "drop"}), "'customer' does not exist"),
        (with_columns(attributes={"action": "pseudonym", "kind": "user"}), "(json) cannot have"),
        (with_columns(device={"action": "generalise", "to": "hour"}), "cannot have the action"),
        (with_columns(device={"action": "pseudonym", "kind": "person"}), "kind"),
        (with_columns(device={"action": "pseudonym"}), "`kind` belongs to"),
        (with_columns(device={"action": "hide"}), "action"),
        (with_columns(timestamp={"action": "drop"}), "is the time column"),
        ({**POLICY, "key": "c2VjcmV0LXNlY3JldC1zZWNyZXQ="}, "privacy.key"),
        ({**POLICY, "key": "file:/nowhere/key"}, "/nowhere/key"),
        ({**POLICY, "colums": {}}, "colums"),
    ],
)
def test_a_policy_that_does_not_fit(
    project: PrivateProject, defined: Callable[..., None], policy: dict[str, Any], said: str
) -> None:
    defined(privacy=policy)
    output = refused(project)
    assert said in output
    assert "c2VjcmV0" not in output


def test_a_column_that_only_the_source_has(
    project: PrivateProject, defined: Callable[..., None]
) -> None:
    defined(extra_columns="keep")
    database = project.home.parent.parent / "logs.db"
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE logs ADD COLUMN customer TEXT DEFAULT 'petra.m'")
    connection.close()
    said = refused(project)
    assert "does not say what happens to 'customer'" in said
    assert "petra.m" not in said
    with sqlite3.connect(database) as connection:
        connection.execute("ALTER TABLE logs DROP COLUMN customer")
    connection.close()


def test_a_preset_that_protects_less(project: PrivateProject, defined: Callable[..., None]) -> None:
    defined("logs_in_csv", privacy={"columns": {"device": {"action": "keep"}}})
    said = refused(project, "logs_in_csv")
    assert "a preset cannot weaken column 'device' from 'pseudonym:host' to 'keep'" in said
    assert "logs_in_csv/defs.yaml:" in said
    defined("logs_in_csv", privacy=None)
    assert "a preset cannot remove the policy" in refused(project, "logs_in_csv")
