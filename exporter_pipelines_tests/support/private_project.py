"""A project whose datasets all have a privacy policy, with a hostile day in its database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from exporter_pipelines import cli
from exporter_pipelines.formats import FORMATS
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import Database, with_shipped_tables
from exporter_pipelines_tests.support.definitions import copy_definitions, use_definitions
from exporter_pipelines_tests.support.private_days import DAY, KEY, KEY_NAME, POLICY, ROWS
from exporter_pipelines_tests.support.projects import ROOT

DATASETS = [*(f"logs_in_{name}" for name in FORMATS), "anomalies", "ips"]
LEAKING = "leaking"
"""A dataset whose policy keeps the messages."""

_ADDRESS = {"action": "pseudonym", "kind": "ip"}
_POLICIES: dict[str, dict[str, Any]] = {
    "logs": POLICY,
    "anomalies": {
        "columns": {"ip": _ADDRESS, "details": {"action": "scan", "keys": {"user": "user"}}},
        "keep": ["id", "type", "severity", "status", "log_id"],
    },
    "ips": {
        "columns": {"address": _ADDRESS, "labels": {"action": "scan"}}, "keep": ["id", "country"],
    },
    LEAKING: {
        **POLICY, "columns": {**POLICY["columns"], "message": {"action": "keep"}},
    },
}  # fmt: skip


class PrivateProject:
    """The project.

    Attributes:
        home: Holds everything that is written: the output folder, and Dagster's history.
        store: The output folder.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, LocalStore(home / "exports")

    def run(self, *arguments: str) -> Result:
        """A command, in this process."""
        return CliRunner().invoke(cli.main, arguments)


@contextmanager
def private_project(folder: Path, database: Database) -> Iterator[PrivateProject]:
    """A project in an empty folder, over an empty database that gets the tables and the day."""
    fill(database)
    defs, home = folder / "defs", folder / "home"
    copy_definitions(defs)
    home.mkdir()
    _define(defs)
    shutil.copy(ROOT / "dagster.yaml", home)
    with pytest.MonkeyPatch.context() as patch:
        use_definitions(defs, patch)
        patch.chdir(home)
        for name, value in {
            "DAGSTER_HOME": str(home), "EXPORTER_SOURCE_URL": database.url, KEY_NAME: KEY,
            "EXPORTER_OUTPUT_URL": str(home / "exports"), "EXPORTER_START_DATE": "2026-11-01",
            "EXPORTER_END_DATE": "2026-11-15", "EXPORTER_TIMEZONE": "UTC",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        yield PrivateProject(home)


def fill(database: Database) -> None:
    """Add the tables, the hostile logs, and anomalies and IP records with their addresses."""
    with_shipped_tables(database)
    for number, (message, device, ip, attributes) in enumerate(ROWS):
        time = f"{DAY}T00:00:{number:02}.5Z"
        document = json.dumps(attributes, ensure_ascii=False)
        database.add("logs", {
            "id": number + 1, "timestamp": time, "level": "INFO", "message": message,
            "source": "sshd", "device": device, "ip": ip,
            "attributes": None if attributes is None else document,
        })  # fmt: skip
    for number, address in enumerate(("10.1.2.3", "2001:db8::77", "fd00::9")):
        database.add("anomalies", {
            "id": number + 1, "timestamp": f"{DAY}T01:00Z", "type": "burst", "score": 0.5,
            "ip": address, "log_id": 1,
            "details": {"user": "anna.k", "why": f"many from [{address}]:443 by anna.k", "n": 1.0},
        })  # fmt: skip
        database.add("ip_addresses", {
            "id": number + 1, "address": address, "first_seen": f"{DAY}T01:00Z",
            "last_seen": f"{DAY}T02:00Z", "risk_score": 5, "country": "de",
            "labels": [address, "botnet"],
        })  # fmt: skip


def _define(defs: Path) -> None:
    shutil.copytree(defs / "logs", defs / LEAKING)
    (defs / LEAKING / "schema.py").unlink()
    for name, policy in _POLICIES.items():
        file = defs / name / "defs.yaml"
        document = yaml.safe_load(file.read_text())
        document["attributes"] |= {"name": name, "privacy": policy}
        file.write_text(yaml.safe_dump(document, sort_keys=False))
    for format_ in FORMATS:
        name = f"logs_in_{format_}"
        (defs / name).mkdir()
        document = {
            "type": "exporter_pipelines.components.DatasetPreset",
            "attributes": {"name": name, "like": "logs", "format": format_, "compression": "none"},
        }
        (defs / name / "defs.yaml").write_text(yaml.safe_dump(document))
