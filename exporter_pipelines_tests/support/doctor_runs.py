"""`exporter doctor` in this process: what a test says to it, and what it finds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from exporter_pipelines import cli

DAY = "2026-11-01"
SECRET = "hunter2secret"
KEYS = ["level", "dataset", "check", "message", "hint"]

STRANGER = """
CREATE SCHEMA ops;
CREATE TABLE ops.event_stream (event_uuid uuid PRIMARY KEY, occurred_at timestamp NOT NULL,
    log_level text, msg text, program text, hostname text, client_ip inet, extra jsonb,
    ingested_by text);
CREATE TABLE ops.detections (nr bigserial PRIMARY KEY, detected_at timestamptz, kind text,
    confidence real, sev text, src_ip inet, evidence jsonb);
CREATE TABLE ops.known_hosts (host_ip_addr text PRIMARY KEY, first_seen_at timestamptz,
    last_seen_at timestamptz, reputation int, cc char(2), tags text[]);
DROP TABLE logs, anomalies, ip_addresses;
INSERT INTO ops.event_stream VALUES (gen_random_uuid(), '2026-11-01 12:00', 'warn', 'hello', 'sshd',
    'edge-01', '10.0.0.1', '{"a": 1}', 'x');
INSERT INTO ops.detections VALUES (1, '2026-11-01T01:00Z', 'spike', 0.5, 'high', '10.0.0.1', '{}');
INSERT INTO ops.known_hosts VALUES ('10.0.0.1', '2026-11-01T01:00Z', '2026-11-01T02:00Z', 5, 'DE',
    '{a,b}');
"""


@dataclass
class Doctor:
    """The command in this process, over a copy of the defs that a test may edit."""

    defs: Path
    monkeypatch: pytest.MonkeyPatch
    arguments: tuple[str, ...] = ()
    code: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *arguments: str) -> Doctor:
        """Run it and keep its findings."""
        done = CliRunner().invoke(cli.main, ["doctor", "--json", *arguments])
        assert SECRET not in done.output
        self.arguments, self.code, self.said = arguments, done.exit_code, json.loads(done.output)
        assert all(list(f) == KEYS for f in self.said)
        return self

    @property
    def output(self) -> str:
        """The same for people."""
        return CliRunner().invoke(cli.main, ["doctor", *self.arguments]).output

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a defs.yaml."""
        file = self.defs / name / "defs.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def set(self, **values: str) -> None:
        """Change the environment."""
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)

    def found(self, level: str, check: str, name: str | None = "logs") -> dict[str, Any]:
        """The only finding of a check."""
        found = [f for f in self.said if (f["check"], f["dataset"]) == (check, name)]
        assert [f["level"] for f in found] == [level], self.output
        return found[0]

    def paste(self, name: str, finding: dict[str, Any]) -> None:
        """Do what a finding says: put its block below `source:`, in place of what is there."""
        block = finding["hint"].partition("\n")[2]
        keys = yaml.safe_load(block)
        file = self.defs / name / "defs.yaml"
        kept = [
            line for line in file.read_text().splitlines() if line.strip().split(":")[0] not in keys
        ]
        at = kept.index("  source:") + 1
        file.write_text("\n".join([*kept[:at], block, *kept[at:]]) + "\n")

    def configured(self, name: str) -> dict[str, Any]:
        """`source:` of a dataset as it is now."""
        attributes = yaml.safe_load((self.defs / name / "defs.yaml").read_text())["attributes"]
        source: dict[str, Any] = attributes["source"]
        return source
