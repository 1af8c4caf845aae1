"""Random days of hostile logs, and values that a defect of the masking leaves in their files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.engine.private_rows import PrivateRows
from exporter_pipelines_tests.support.databases import SqliteDatabase
from exporter_pipelines_tests.support.private_days import POLICY, private, sqlite_logs

USERS = ("petra.w", "ivan_petrov", "li-wei", "Jürgen", "omar")
HOSTS = ("srv-berlin-1", "nas07", "cam.hall", "gw-münchen")
ORDINARY = ("admin", "root", "web", "test", "bo", "4711", "localhost")

PLANTED: dict[str, Callable[[random.Random], str]] = {
    "ipv4": lambda r: ".".join(str(r.randrange(1, 220)) for _ in range(4)),
    "ipv6": lambda r: f"2001:db8:{r.randrange(1, 9999):x}::{r.randrange(1, 9999):x}",
    "user": lambda r: r.choice(USERS),
    "host": lambda r: r.choice(HOSTS),
    "email": lambda r: f"p{r.randrange(999)}@firma.test",
    "mac": lambda r: ":".join(f"{r.randrange(256):02x}" for _ in range(6)),
    "url": lambda r: f"ftp://u{r.randrange(9)}:pw{r.randrange(999)}@x",
    "jwt": lambda r: f"eyJhbGciOiJIUzI1{r.randrange(10**9)}.eyJzdWIiOi{r.randrange(10**9)}.sig",
    "password": lambda r: f"password=pw{r.randrange(10**6)}",
    "session": lambda r: f"sess-{r.randrange(9):05}",
}
"""Ten kinds of raw values -> makes one; names are those that the day's own columns have."""
PLACES = ("message", "attributes", "key in attributes", "device", "rejected message")

_PIECES = (
    "10.1.2.3", "10.1.2.3:8080", "[2001:db8::77]:443", "::ffff:10.1.2.3", "fe80::1%eth0", "::1",
    "std::vector", "12:34:56", "1.2.3.4.5", "v1.2.3.4", "aa:bb:cc:dd:ee:01", "AA-BB-CC-DD-EE-02",
    "aabb.ccdd.ee03", "x+y@exämple.org", "a%40b.de", "10%2E9%2E8%2E7", "\\u0061nna", "%2540",
    "password=geheim", "https://u:p@host/x", "Bearer abcdefghijklmnopqrstu", "漢字", "größer",
    "255.255.255.255", "224.0.0.1", "127.0.0.1", "a::b", "getty@tty1.service", "{", "}", '"', "'",
    *USERS, *HOSTS, *ORDINARY, "sess-00003", "failed", "accepted", "for", "=", "\n", "\t",
)  # fmt: skip
_BETWEEN = (" ", ", ", "\n", " (", "; ", '" ', "/", " | ", "", ":", ".")


def leaky(**changes: Any) -> Dataset:
    """The logs under a policy that also hashes what is in `source`: ids of sessions."""
    columns = {**POLICY["columns"], "source": {"action": "hash"}}
    return private(privacy={"columns": columns, "keep": ["id", "level"]}, **changes)


def hostile_rows(chance: random.Random, count: int) -> list[tuple[Any, ...]]:
    """Rows of a day that has every name, the last of which is rejected."""
    named = [("-", host, None, {"user": user}) for user in USERS for host in HOSTS]
    found = [_row(chance) for _ in range(count - len(named))]
    return [*named, *found, ("rejected", "nas07", "no address", {"user": "omar"})]


def _row(chance: random.Random) -> tuple[Any, ...]:
    def text() -> str:
        parts = chance.choices(_PIECES, k=chance.randrange(1, 8))
        return "".join(f"{part}{chance.choice(_BETWEEN)}" for part in parts)

    address = chance.choice((None, PLANTED["ipv4"](chance), PLANTED["ipv6"](chance), "10.1.2.3"))
    document = {"user": chance.choice(USERS + ORDINARY), text(): [text(), 1.5], "t": text()}
    return text(), chance.choice((None, *HOSTS, *ORDINARY)), address, document


def many_addresses(count: int) -> list[tuple[Any, ...]]:
    """A day of so many distinct addresses, half of them in one dense network."""
    chance = random.Random(7)
    dense = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(count // 2)]
    wide = [f"{n % 199 + 11}.{n >> 8 & 255}.{n & 255}.{n >> 16}" for n in range(count // 2)]
    return [(f"from {a} to {chance.choice(dense)}", "web", a, None) for a in dense + wide]


def database_of(file: Path, rows: list[tuple[Any, ...]]) -> str:
    """URL of a new database in which each row has one of nine sessions as its source."""
    url = sqlite_logs(file, rows)
    SqliteDatabase(file).run("UPDATE logs SET source = 'sess-0000' || (id % 9)")
    return url


@contextmanager
def planted(value: str, place: str, chance: random.Random) -> Iterator[None]:
    """A defect: after rows are masked, one row has this raw value in one place."""
    mask, rest, rejected = PrivateRows.mask, PrivateRows.rest, PrivateRows.rejected
    done = []

    def leaking(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if done or place.startswith("rejected"):
                yield batch
            else:
                done.append(place)
                yield _with(batch, place, value, chance.randrange(len(batch)))

    def leaking_rejected(self: PrivateRows, batch: Any, rejections: Any) -> Any:
        masked, shown = rejected(self, batch, rejections)
        if not done and place.startswith("rejected"):
            done.append(place)
            masked = _with(masked, "message", value, 0)
        return masked, shown

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrivateRows, "mask", lambda self, valid: leaking(mask(self, valid)))
        patch.setattr(PrivateRows, "rest", lambda self: leaking(rest(self)))
        patch.setattr(PrivateRows, "rejected", leaking_rejected)
        yield
    assert done, "the value reached no file"


def _with(batch: pa.RecordBatch, place: str, value: str, row: int) -> pa.RecordBatch:
    column = place.rpartition(" ")[2]
    cells = batch[column].to_pylist()
    if column == "attributes":
        document = {value: 1} if place.startswith("key") else {"note": f"see {value}!"}
        cells[row] = json.dumps(document, ensure_ascii=False)
    else:
        cells[row] = value if column == "device" else f"{cells[row]} {value}"
    position = batch.schema.get_field_index(column)
    columns = list(batch.columns)
    columns[position] = pa.array(cells, batch.schema.field(column).type)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
