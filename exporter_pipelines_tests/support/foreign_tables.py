"""Random tables of other people's backends: odd names, types, settings and spellings of times."""

# ruff: noqa: UP045 - Pandera evaluates annotations, and pa.string is no class

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines.contracts.outside_days import ExportableDays
from exporter_pipelines.engine.export_day import DayOutcome
from exporter_pipelines.engine.outside_days import OutsideDays
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.databases import Database, PostgresDatabase
from exporter_pipelines_tests.support.datasets import databases, dataset, outcome_of

DAYS = ("2026-11-01", "2026-11-02", "2026-11-03")
_EXPORTABLE = ExportableDays.of(DAYS[0], "2026-11-04", "UTC")

_NAMES = (
    "created", "Created At", 'quo"ted', "semi;colon", "größe", "per%cent", "{braces}", "a.b",
    "select", "tab\there", "it's", "back\\slash", "x" * 63, "日付", "?", ":name",
)  # fmt: skip
_DATES = ("2026-10-31", *DAYS, "2026-11-04", "1999-01-01", "9998-01-01")
_TEXT_FORMS = (
    "{y}-{m}-{d}", "{y}-{m}-{d} {H}:30:00,123", "{y}-{m}-{d} {H}:30:00.123456789 +0000 UTC",
    "{y}/{m}/{d} {H}:30:00", "{y}{m}{d}T{H}3000Z", "{y}-{m}-{d}T{H}:30:00+02:00[Europe/Paris]",
    "{y}-{m}-{d} 7:05", "{d}.{m}.{y}", "{y}-{m}-{d} noon", "{y}-13-{d}", "{m}/{d}/{y} {H}:30",
    "{y}-{m}-{d}T24:00", "now", "", "1793491200", "{y}-{m}-{d}T{H}:30:00-11:00", " {y}-{m}-{d}",
)  # fmt: skip
_POSTGRES_TYPES = ("timestamptz", "timestamp", "date", "text", "varchar(80)", "char(60)", "bigint",
                   "double precision", "numeric")  # fmt: skip
_ENCODINGS = {
    "epoch_s": (1, 0), "epoch_ms": (1_000, 0), "epoch_us": (1_000_000, 0),
    "core_data": (1, 978_307_200), "webkit_us": (1_000_000, -11_644_473_600),
}  # fmt: skip
_EPOCH = dict(zip(
    _DATES, (1_793_404_800, 1_793_491_200, 1_793_577_600, 1_793_664_000, 1_793_750_400, 915_148_800,
             253_339_228_800), strict=True))  # fmt: skip
_OTHER_TYPES = ("text", "json", "jsonb", "integer[]", "point", "money", "bytea", "xml", "interval",
                "inet", "tsvector", "bit(3)", "int4range", "uuid", "oid", "char(5)")  # fmt: skip
_SETTINGS = (
    "DateStyle = 'German, DMY'", "TimeZone = 'Asia/Kathmandu'", "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'", "extra_float_digits = -10", "quote_all_identifiers = on",
    "search_path = '', public", "lc_messages = 'C'",
    "default_transaction_isolation = 'serializable'",
    "xmlbinary = 'hex'", "standard_conforming_strings = off", "backslash_quote = on",
    "array_nulls = off", "transform_null_equals = on",
)  # fmt: skip


class ThingRow(pandera.DataFrameModel):
    """A row of `things`."""

    id: pa.int64 = pandera.Field(metadata={"identifier": True})
    timestamp: Annotated[pa.timestamp, "us", "UTC"]
    text: Optional[pa.string] = pandera.Field(nullable=True)
    whole: Optional[pa.int64] = pandera.Field(nullable=True, ge=0)


@dataclass(frozen=True)
class Accounts:
    """What became of the rows of a table, after all days were exported.

    Attributes:
        rows: Of the table.
        kept: Exported, rejected or filtered rows of all days; for held days those that were read.
        outside: Kind -> rows that belong to no day.
        outcomes: One per day.
    """

    rows: int
    kept: int
    outside: dict[str, int]
    outcomes: Sequence[DayOutcome]


class ForeignTable:
    """One random table.

    Args:
        database: Without a table `things`.
        dice: Decides everything.
    """

    def __init__(self, database: Database, dice: random.Random) -> None:
        self._database, self._dice = database, dice
        self._is_postgres = isinstance(database, PostgresDatabase)
        self._key, self._time, self._text, self._whole = dice.sample(_NAMES, 4)
        self._type = dice.choice(_POSTGRES_TYPES if self._is_postgres else ("", "TEXT", "DATETIME"))
        is_number = self._type in ("bigint", "double precision", "numeric")
        is_number = is_number or (not self._is_postgres and dice.random() < 0.5)
        self._encoding = dice.choice(list(_ENCODINGS)) if is_number else None
        self.described = f"{self._type!r} {self._encoding} {self._time!r} {self._key!r}"

    def fill(self) -> int:
        """Create the table with some rows; returns how many."""
        dice, names = self._dice, [self._key, self._time, self._text, self._whole]
        types = ["bigint", self._type, "text", dice.choice(["int", "smallint"])]
        others = [f"o{n}" for n in range(dice.randint(0, 4))]
        if self._is_postgres:
            for setting in dice.sample(_SETTINGS, 3):
                name = self._database.run("SELECT current_database()")[0][0]
                self._database.run(f'ALTER DATABASE "{name}" SET {setting}')
        types += [dice.choice(_OTHER_TYPES) for _ in others]
        unique = " PRIMARY KEY" if dice.random() < 0.5 else ""
        columns = ", ".join(
            f"{_quoted(name)} {kind}{unique if name == self._key else ''}"
            for name, kind in zip([*names, *others], types, strict=True)
        )
        self._database.run(f"CREATE TABLE things ({columns})")
        if dice.random() < 0.5:
            self._database.run(f"CREATE INDEX things_at ON things ({_quoted(self._time)})")
        count = dice.randint(0, 40)
        for number in range(count):
            row = [number if unique else dice.randint(0, 9), self._stored_time(),
                   dice.choice(["x", None, "", "\u2028"]), dice.choice([1, None, -5])]  # fmt: skip
            mark = "%s" if self._is_postgres else "?"
            self._database.run(
                f"INSERT INTO things VALUES ({', '.join([mark] * 4)}{', NULL' * len(others)})",
                row,
            )
        return count

    def _stored_time(self) -> Any:
        dice = self._dice
        if dice.random() < 0.1:
            return None
        date = dice.choice(_DATES)
        if self._encoding and (self._is_postgres or dice.random() < 0.8):
            if dice.random() < 0.1:
                return 9 * 10**18 if self._type in ("", "bigint", "TEXT", "DATETIME") else "NaN"
            per_s, origin = _ENCODINGS[self._encoding]
            return (_EPOCH[date] - origin + dice.randint(0, 86_399)) * per_s
        year, month, day = date.split("-")
        if self._type in ("timestamptz", "timestamp", "date"):
            odd = dice.random() < 0.1
            return dice.choice(["infinity", "-infinity"]) if odd else f"{date} 05:00"
        forms = [form for form in _TEXT_FORMS if self._type != "DATETIME" or not form.isdigit()]
        return dice.choice(forms).format(y=year, m=month, d=day, H=f"{dice.randint(0, 23):02}")

    def accounts(self, store: LocalStore, rows: int) -> Accounts:
        """Export every day and add up."""
        encodings = {"timestamp": self._encoding} if self._encoding else {}
        exported = dataset(
            schema="exporter_pipelines_tests.support.foreign_tables.ThingRow",
            source={
                "table": "things" if not self._is_postgres else "public.things",
                "key": "id",
                "timezone": "UTC",
                "columns": {"id": self._key, "timestamp": self._time, "text": self._text,
                            "whole": self._whole},
                "encodings": encodings,
            },
            transforms=[],
            filters=[{"name": "some", "column": "text", "op": "ne", "value": "x"}],
            max_rejected_pct=100,
            extra_columns=self._dice.choice(["ignore", "keep"]),
        )  # fmt: skip
        outside, outcomes = OutsideDays(_EXPORTABLE), []
        with databases(self._database.url) as session:
            for day in DAYS:
                outcomes.append(outcome_of(
                    self._database.url, exported, day, store, session=session,
                    outside_days=outside, accept_loss=True,
                ))  # fmt: skip
        kept = sum(_kept(outcome) for outcome in outcomes)
        numbers = next(
            v.numbers for v in outcomes[0].verdicts if v.check == "rows_outside_every_day"
        )
        kinds = ("null", "infinite", "unreadable", "before", "after")
        return Accounts(rows, kept, {k: int(numbers[f"rows_{k}"]) for k in kinds}, outcomes)


def _kept(outcome: DayOutcome) -> int:
    numbers = next(v.numbers for v in outcome.verdicts if v.check == "row_conservation")
    return int(numbers["rows_exported"] + numbers["rows_rejected"] + numbers["rows_filtered"])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
