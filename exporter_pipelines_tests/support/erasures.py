"""Exports with subjects to erase: three datasets and a preset, raw and under policies, two epochs.

The database is random, and a model knows which rows have a subject in a column, and which in text.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.privacy import PrivacyConfig
from exporter_pipelines.contracts.row_models import load_row_schema
from exporter_pipelines.engine.erase import Erase
from exporter_pipelines.engine.erase_scope import Scope
from exporter_pipelines.engine.load import open_day
from exporter_pipelines.engine.subject_forms import SubjectForms
from exporter_pipelines.privacy.keys import key_ring
from exporter_pipelines.privacy.subjects import Subject
from exporter_pipelines.stores import LocalStore
from exporter_pipelines.verification.days import verify_day
from exporter_pipelines_tests.support.datasets import databases, dataset, export
from exporter_pipelines_tests.support.private_days import KEY_NAME
from exporter_pipelines_tests.support.unpacked import everything_below

_TABLES = """
CREATE TABLE logs (id INTEGER PRIMARY KEY, timestamp TEXT, level TEXT, message TEXT, source TEXT,
    device TEXT, ip TEXT, attributes TEXT);
CREATE TABLE anomalies (id INTEGER PRIMARY KEY, timestamp TEXT, type TEXT, score REAL,
    severity TEXT, status TEXT, log_id INTEGER, ip TEXT, details TEXT);
CREATE TABLE ip_addresses (address TEXT, first_seen TEXT, last_seen TEXT, risk_score REAL,
    country TEXT, labels TEXT);
"""
_LIMITS = {"max_rejected_rows": 1000, "max_lost_rows": 10_000}
_KEYS = {"user": "user", "host": "host"}

Rows = dict[str, dict[str, Any]]


def _named(exported: Dataset, name: str) -> Dataset:
    config = exported.config.model_copy(update={"name": name})
    return Dataset(config, load_row_schema(config.row_schema))


def all_datasets() -> list[Dataset]:
    """Logs and anomalies as they are, the addresses and a preset of the logs under policies."""
    policy = {
        "key": KEY_NAME, "epoch": "month", "keep": ["id", "level", "source"],
        "columns": {
            "ip": {"action": "pseudonym", "kind": "ip"},
            "device": {"action": "pseudonym", "kind": "host"},
            "message": {"action": "scan"},
            "attributes": {"action": "scan", "keys": _KEYS},
        },
    }  # fmt: skip
    addresses = {
        "key": KEY_NAME, "epoch": "quarter", "addresses": "whole", "keep": ["country"],
        "columns": {
            "address": {"action": "pseudonym", "kind": "ip"},
            "labels": {"action": "scan", "keys": _KEYS}, "id": {"action": "drop"},
        },
    }  # fmt: skip
    return [
        dataset(max_file_records=40, **_LIMITS),
        dataset("anomalies", format="csv", compression="zstd", **_LIMITS),
        dataset("ips", privacy=addresses, format="parquet", compression="zstd", **_LIMITS),
        _named(dataset(privacy=policy, format="json", **_LIMITS), "logs_private"),
    ]


@dataclass
class World:
    """A database and its exports.

    Attributes:
        folder: For both.
        subjects: Number of subjects; half of them are users, half are addresses.
        days: Number of days; a month ends in the middle.
        per_day: Rows of a table and day.
    """

    folder: Path
    subjects: int
    days: int
    per_day: int
    seed: int = 1
    everyone: int = 200
    datasets: list[Dataset] = field(default_factory=all_datasets)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        first = dt.date(2026, 11, 1) - dt.timedelta(days=self.days // 2)
        self.partitions = [str(first + dt.timedelta(days=n)) for n in range(self.days)]
        self.users = [f"user.{n:04}x{self.dice.randrange(10**6)}" for n in range(self.everyone)]
        self.addresses = [
            f"10.{self.dice.randrange(256)}.{n % 256}.{self.dice.randrange(1, 255)}"
            for n in range(self.everyone)
        ]
        half = self.subjects // 2
        self.erased_users, self.erased_addresses = self.users[:half], self.addresses[:half]
        self.store = LocalStore(self.folder / "exports")
        self.url = f"sqlite:///{self.folder / 'world.db'}"
        with closing(sqlite3.connect(self.folder / "world.db")) as db, db:
            db.executescript(_TABLES)
        self._number = 0
        for day in self.partitions:
            self.add(day, self.per_day)

    def add(self, day: str, rows: int) -> None:
        """Add random rows of a day to all tables; a few of them will be rejected."""
        dice, times = self.dice, [f"{day}T{n // 60 % 24:02}:{n % 60:02}:00Z" for n in range(rows)]
        logs, anomalies, addresses = [], [], []
        for time in times:
            self._number += 1
            user, other = dice.choice(self.users), dice.choice(self.users)
            ip, another = dice.choice(self.addresses), dice.choice(self.addresses)
            device = user if dice.random() < 0.2 else f"edge-{dice.randrange(40):02}"
            message = dice.choice([
                f"login of {other} from {another}:22", "nothing at all",
                f"[{another}] {other.upper()}", f"mail {other}@firma.test",
                f"GET /?u={other.replace('.', '%2E')}&x=1", f"ip ::ffff:{another} and {another}0",
            ])  # fmt: skip
            attributes = dice.choice([
                None, json.dumps({"user": user, "n": 1.50}),
                json.dumps({other: [ip, {"k": other}]}),
                '{"q":"' + other.replace(".", "\\u002e") + '","big":12345678901234567}',
            ])  # fmt: skip
            bad = "not an address" if dice.random() < 0.02 else ip
            logs.append((self._number, time, "INFO", message, "sshd", device, bad, attributes))
            details = json.dumps({"user": user, "from": another})
            anomalies.append((self._number, time, "scan", 0.5, "high", "open", None, ip, details))
            label = json.dumps([user, "list"])
            addresses.append((ip, time, time, 50.0, "DE", label))
        with closing(sqlite3.connect(self.folder / "world.db")) as db, db:
            db.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", logs)
            db.executemany("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", anomalies)
            db.executemany("INSERT INTO ip_addresses VALUES (?, ?, ?, ?, ?, ?)", addresses)

    def export_all(self) -> None:
        """Export every day of every dataset."""
        with databases(self.url) as session:
            for each in self.datasets:
                for day in self.partitions:
                    export(self.url, each, day, self.store, session=session)

    def runs(self, *, apply: bool = True) -> list[Erase]:
        """The two requests: of the users, and of the addresses."""
        by_name = {each.name: each for each in self.datasets}
        wanted = (("user", "R-users", self.erased_users), ("ip", "R-ips", self.erased_addresses))
        return [
            Erase(Scope(self.store, SubjectForms(subjects, request), by_name, apply))
            for kind, request, values in wanted
            for subjects in [[Subject.of(kind, value) for value in values]]  # type: ignore[arg-type]
        ]

    def erase(self) -> list[str]:
        """Carry out both requests; the problems."""
        problems = []
        for run in self.runs():
            for _ in run.run():
                pass
            problems += [f"{each.dataset} {each.day}: {each.reason}" for each in run.problems]
        return problems

    # What must hold

    def rows(self, name: str, day: str) -> Rows:
        """Key -> row, as published. Rows with the same key get a number."""
        key = {"ips": "address"}.get(name, "id")
        found: Rows = {}
        for row in open_day(self.store, name, day).read_all().to_pylist():
            number = sum(each.startswith(f"{row[key]} ") for each in found)
            found[f"{row[key]} {number}"] = row
        return found

    def snapshot(self) -> dict[tuple[str, str], Rows]:
        """The rows of all days."""
        return {
            (e.name, day): self.rows(e.name, day) for e in self.datasets for day in self.partitions
        }

    def left(self) -> list[str]:
        """The subjects that any byte below the output folder has, raw or as a pseudonym."""
        pieces = _pieces(everything_below(self.store.root))
        return [each for each in self._forms() if each in pieces]

    def _forms(self) -> Iterator[str]:
        yield from self.erased_users
        yield from self.erased_addresses
        for each in self.datasets:
            policy = each.config.privacy
            if policy is not None:
                yield from self._pseudonyms(each.name, policy)

    def _pseudonyms(self, name: str, policy: PrivacyConfig) -> Iterator[str]:
        for day in {day[:7]: day for day in self.partitions}.values():
            keys = key_ring(policy, name, day, settings.privacy_key(policy.key))
            for kind, values in (("user", self.erased_users), ("ip", self.erased_addresses)):
                for value in values:
                    names, addresses = Subject.of(kind, value).pseudonyms(policy, keys)  # type: ignore[arg-type]
                    yield from (*names, *addresses)

    def changed_rows(
        self, before: dict[tuple[str, str], Rows], after: dict[tuple[str, str], Rows]
    ) -> list[str]:
        """Rows that are different although they had no subject, or came from nowhere."""
        forms = set(self._forms())
        wrong = []
        for place, rows in before.items():
            now = list(after[place].values())
            untouched = [row for row in rows.values() if not _text_of(row) & forms]
            wrong += [f"{place} {row}" for row in untouched if row not in now]
            if len(now) > len(rows):
                wrong.append(f"{place} has {len(now)} rows, had {len(rows)}")
        return wrong

    def damage(self, some: int | None = None) -> list[str]:
        """What `exporter verify` finds on all days, or on some that are chosen at random."""
        found = []
        chosen = self.partitions if some is None else self.dice.sample(self.partitions, some)
        for each in self.datasets:
            for day in chosen:
                report, manifest = verify_day(self.store, each.name, day)
                found += [f"{each.name} {day} {f.kind} {f.message}" for f in report.findings]
                if not isinstance(manifest, Manifest):
                    found.append(f"{each.name} {day} is not published")
        return found

    def erased_rows(self) -> int:
        """Rows that all manifests state as erased."""
        places: Sequence[tuple[str, str]] = [
            (each.name, day) for each in self.datasets for day in self.partitions
        ]
        data = (self.store.read_manifest(*place) for place in places)
        return sum(Manifest.from_json(each or b"").counts.erased for each in data)


def _text_of(row: dict[str, Any]) -> set[str]:
    return _pieces(json.dumps(row, default=str, ensure_ascii=False).lower())


def _pieces(text: str) -> set[str]:
    """Everything in a text, in lower case, that may be a subject or a pseudonym."""
    words = {
        word.replace("%2e", ".").replace("\\\\u002e", ".").replace("\\u002e", ".")
        for word in re.findall(r"[\w.%\\:@-]+", text)
    }
    pieces = {part for word in words for part in re.split(r"[@:]", word)}
    pieces |= words | {word.rpartition("::ffff:")[2] for word in words}
    return pieces | {each.strip(".:\\") for each in pieces}
