"""The scanner agrees with a slow one on hostile texts; planted values are found."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.privacy import ColumnPolicy, PrivacyConfig
from exporter_pipelines.contracts.row_schema import Column, RowSchema
from exporter_pipelines.privacy.identifiers import identifiers_in
from exporter_pipelines.privacy.keys import KeyRing
from exporter_pipelines.privacy.leaks import LeakSearch
from exporter_pipelines.privacy.masking import Masking
from exporter_pipelines.privacy.names import DayNames
from exporter_pipelines.privacy.pseudonyms import Counts, Pseudonyms
from exporter_pipelines.privacy.scanner import Scanner
from exporter_pipelines_tests.support.slow_scan import SlowScan

POLICY = PrivacyConfig(key="K", columns={"text": ColumnPolicy(action="scan")})
KEYS = KeyRing(bytes(range(32)), "shared", "none")
PSEUDONYMS = Pseudonyms(POLICY, KEYS)
NAMES = ["anna.k", "edge-07", "edge", "web server 9", "Jürgen", "o'brien", 'quo"ted', "back\\slash"]
BY = {name: PSEUDONYMS.token("user", name.lower()) for name in NAMES}
SCANNER, SLOW = Scanner(PSEUDONYMS, BY), SlowScan(PSEUDONYMS, BY)
JSON_KEYS: Any = {"user": "user", "host": "host", "pass word": "redact", "ip": "ip"}

_PIECES = [
    "10.1.2.3", "10.1.2.3.4", "1.2.3.4", "v1.2.3.4", "255.255.255.255", "010.1.2.3", "999.1.1.1",
    "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "::ffff:10.1.2.3", "::1", "::", "12:34:56",
    "fe80::1%eth0", "12:34:56:78", "std::vector", "db::query", "[", "]", ":443", ":", ".", "/24",
    "%", "@", "=", " ",
    "aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff", "a@b.de", "x+y@exämple.org", "-",
    "password=geheim", "https://u:p@", "Bearer abcdefghijklmnopqrstu", "AKIAABCDEFGHIJKLMNOP", "\n",
    "eyJabcdefgh.ijklmnopqr.stu", "漢字", "é", "_", "x", "9", "abc", "\t", "'", '"', "\\", "{", ",",
    *NAMES, "ANNA.K", "EDGE-07", "\x00", "\x01", "\x02", "\x7f", "}",
    "10.1.2.3:8080", "10.1.2.3:99999", "[2001:db8::1]:443", "::ffff:a01:203", "2001:db8::1:25",
    "aa:bb:cc:dd:ee:ff:00:11", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "::ffff:999.1.1.1",
]  # fmt: skip
PIECES = st.sampled_from(_PIECES)
_HIDDEN = [
    "%40", "%2E", "\\u0040", "\\n", "%C3%BC", "a%40b.de", "10%2E1%2E2%2E3", "%2540", "\\x40",
    "%zz", "\\u00e9",
]  # fmt: skip
HIDDEN = st.sampled_from(_HIDDEN)
TEXTS = st.lists(PIECES, max_size=9).map("".join)


def scanned(texts: list[str], *, in_json: bool = False, **keys: Any) -> list[str]:
    found = SCANNER.scan(pa.array(texts, pa.string()), Counts(), in_json=in_json, keys=keys)
    return list(found.to_pylist())


@settings(max_examples=250)
@given(st.lists(TEXTS, max_size=8))
def test_texts_are_scanned_as_slowly(texts: list[str]) -> None:
    assert scanned(texts) == [SLOW.text(text) for text in texts]


@settings(max_examples=100)
@given(st.lists(st.lists(st.one_of(PIECES, HIDDEN), max_size=6).map("".join), max_size=5))
def test_escaped_texts_are_scanned_as_slowly(texts: list[str]) -> None:
    assert scanned(texts) == [SLOW.text(text) for text in texts]


DOCUMENTS = st.recursive(
    st.one_of(TEXTS.filter(lambda t: "%" not in t and "\\" not in t), st.integers(), st.none(),
              st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["user", "HOST", "ip", "pass word", "n", "a@b.de"]), inner,
                        max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(DOCUMENTS, min_size=1, max_size=5), st.booleans())
def test_documents_are_scanned_as_slowly(documents: list[Any], ascii_only: bool) -> None:
    texts = [json.dumps(each, ensure_ascii=ascii_only) for each in documents]
    found = scanned(texts, in_json=True, **JSON_KEYS)
    for text, each in zip(texts, found, strict=True):
        assert json.loads(each) == SLOW.document(text, JSON_KEYS)


_IDENTIFIERS = [
    "10.1.2.3", "192.168.77.201", "2001:db8::1", "fd00:1:2:3:4:5:6:7", "fe80::1%eth0",
    "::ffff:10.1.2.3", "aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff", "a@b.de",
    "x+y@exämple.org",
]  # fmt: skip
# Where more identifiers are in a row without a sign between them, more than one reading is right.
GLUED = st.lists(st.sampled_from([*_PIECES, *_IDENTIFIERS * 2]), max_size=3).map("".join)


@settings(max_examples=400)
@given(GLUED)
def test_text_without_separators_is_masked_and_holds_no_day(text: str) -> None:
    counts = Counts()
    masked = SCANNER.scan(pa.array([text]), counts, in_json=False, keys={})
    assert masked.to_pylist() == [SLOW.text(text)]
    names = dict.fromkeys(NAMES, "user")
    search = LeakSearch(names, {}, PSEUDONYMS.raw_addresses, written=counts.addresses)
    search.search("text", masked, POLICY.of("text"), in_json=False)
    assert not search.finish().hits, ascii((text, masked.to_pylist()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from10.1.2.3to", ["10.1.2.3"]),
        ("nas07.10.1.2.3", ["10.1.2.3"]),
        ("srv-1.10.1.2.3.4x", ["10.1.2.3"]),
        ("from2001:db8::1", ["2001:db8::1"]),
        ("IPv62001:db8::1,", ["2001:db8::1"]),
        ("2001:db8::1:error", ["2001:db8::1"]),
        ("::1:255.255.255.255cam", ["::1:255.255.255.255"]),
        ("2001:db8::1error", ["2001:db8::1e"]),
        ("10.1.2.3aa:bb:cc:dd:ee:ff", ["10.1.2.3", "aa:bb:cc:dd:ee:ff"]),
        ("macAA-BB-CC-DD-EE-FFx", ["AA-BB-CC-DD-EE-FF"]),
        ("mac00:11:22:33:44:55", ["00:11:22:33:44:55"]),
        ("eth0aabb.ccdd.eeffup", ["aabb.ccdd.eeff"]),
        ("a@b.de10.1.2.3", ["a@b.de", "10.1.2.3"]),
        ("a@firma.com_old", ["a@firma.com"]),
        ("x::abe@firma.de", ["abe@firma.de"]),
        *((text, []) for text in (
            "std::vector", "std::cafe", "db::query", "Foo::Bar", "std::int8_t", "deadbeef::",
            "12:34:56", "T12:34:56.123Z", "1.2.3.4.5", "v1.2.3.4", "v1.2.3.4.5", "1.2.3.4.5.6",
            "2026-11-01-12-30-45", "2026:11:01:12:30:45",
        )),
    ],
)  # fmt: skip
def test_what_is_found_without_separators(text: str, found: list[str]) -> None:
    assert [text[each.start : each.end] for each in identifiers_in(text)] == found


def test_escapes_of_json_are_not_taken_for_digits_of_an_address() -> None:
    texts = [
        rf'{{"t": "\u{digits}", "ip": "10.1.2.3"}}'
        for digits in ("2001:db8::1", "00aa:bb:cc:dd:ee:ff", "00AA-BB-CC-DD-EE-FF",
                       "aabb.ccdd.eeff", "007fdb::query")
    ]  # fmt: skip
    for text, found in zip(texts, scanned(texts, in_json=True), strict=True):
        assert json.loads(found)["ip"] == "10.1.2.3" or json.loads(found)["t"]
        assert json.loads(found)["t"][0] == json.loads(text)["t"][0]


def test_what_is_not_replaced_stays_as_it_was_written() -> None:
    text = (
        '{ "n" : 1.50, "big": 123456789012345678901234567890, "n" : 1e400, "t": "\\/a\\n\\u00e9"}'
    )
    assert scanned([text], in_json=True, user="user") == [text]


def test_a_text_with_every_control_character_is_redacted() -> None:
    odd = "".join(map(chr, range(32)))
    assert scanned(["a 10.1.2.3", odd, "b"])[1:] == ["[redacted]", "b"]


@pytest.mark.parametrize(
    "text",
    ["aa:" * 20_000, "a" * 100_000 + "@", "1." * 50_000, "ab:" * 20_000 + "x", "@" * 50_000,
     "aa-" * 30_000, "%41" * 30_000, "\\" * 50_000, ":" * 100_000, "11:" * 50_000],
)  # fmt: skip
def test_long_texts_take_no_longer_than_their_length(text: str) -> None:
    identifiers_in(text)
    assert len(scanned([text])) == 1


_BETWEEN = [" ", ", ", "\n", " (", "; ", '" ', "/", " | ", "", ":", "."]
_ALL_COLUMNS: Any = {
    "host": {"action": "pseudonym", "kind": "host"},
    "ip": {"action": "pseudonym", "kind": "ip"},
    "text": {"action": "scan"},
    "json": {"action": "scan", "keys": {"user": "user"}},
}
_SCHEMA = RowSchema(
    "", tuple(Column(c, pa.string(), True, True, is_json=c == "json") for c in _ALL_COLUMNS), None
)

KINDS = {
    "ip": lambda r: ".".join(str(r.randrange(1, 220)) for _ in range(4)),
    "ip6": lambda r: f"2001:db8:{r.randrange(1, 9999):x}::{r.randrange(1, 9999):x}",
    "user": lambda r: r.choice(["petra", "ivan.p", "li-wei", "omar"]),
    "host": lambda r: r.choice(["srv-berlin-1", "nas07", "cam.hall"]),
    "email": lambda r: f"p{r.randrange(999)}@firma.test",
    "mac": lambda r: ":".join(f"{r.randrange(256):02x}" for _ in range(6)),
    "url": lambda r: f"ftp://u{r.randrange(9)}:pw{r.randrange(999)}@x",
    "jwt": lambda r: f"eyJhbGciOiJIUzI1{r.randrange(10**9)}.eyJzdWIiOi{r.randrange(10**9)}.sig",
    "password": lambda r: f"password=pw{r.randrange(10**6)}",
    "session": lambda r: f"s{r.randrange(10**9):09}",
}  # fmt: skip


def test_every_planted_value_is_found() -> None:
    """200 values of ten kinds, each planted into another text of a masked column."""
    chance = random.Random(5)
    for number in range(200):
        kind = list(KINDS)[number % len(KINDS)]
        value = KINDS[kind](chance)
        names = {value: kind} if kind in ("user", "host", "session") else {}
        texts = [f"row {n} of 19.2.3.4 host-{n:020x} ok" for n in range(20)]
        texts[chance.randrange(20)] += chance.choice([" {}", " ({}),", "\n{}", " '{}'."]).format(
            value
        )
        search = LeakSearch(names, {}, frozenset(), written={"19.2.3.4": 20})
        search.search("text", pa.array(texts), POLICY.of("text"), in_json=False)
        leaks = search.finish()
        assert leaks.hits.total() >= 1, (kind, value)
        assert not any(value in str(hit) for hit in leaks.hits)


@pytest.mark.parametrize(
    "text",
    [
        "aabb.ccdd.eeff10.1.2.3",  # the pseudonym of the first ends in digits
        "1.2.3.4.5Bearer abcdefghijklmnopqrstu",
        "1.2.3.4.5password=geheim",
        "é2001:DB8:0:0:0:0:0:1:anna.k",
        "::1:255.255.255.255anna.k",
    ],
)
def test_what_follows_directly_is_no_leak(text: str) -> None:
    policy = PrivacyConfig(key="K", columns={"text": {"action": "scan"}})
    schema = RowSchema("", (Column("text", pa.string(), True, True),), None)
    masking, counts = Masking(policy, KEYS, dt.datetime(2026, 11, 1, tzinfo=dt.UTC)), Counts()
    batch = pa.RecordBatch.from_pydict({"text": pa.array([text])})
    masking.collect(batch)
    masked = masking.mask(batch, schema, counts)["text"]
    search = LeakSearch({}, {}, masking.pseudonyms.raw_addresses, written=counts.addresses)
    search.search("text", masked, policy.of("text"), in_json=False)
    assert not search.finish().hits
    assert "DB8" not in masked[0].as_py()


def test_clean_days_are_not_held() -> None:
    """Days of hostile texts: what was masked has nothing that the search takes for a leak.

    The campaign `leaks` exports 200 of them.
    """
    chance = random.Random(11)
    pieces = [*_PIECES, *_HIDDEN]
    policy = PrivacyConfig(key="K", columns=_ALL_COLUMNS)
    for _ in range(50):
        texts = [
            "".join(f"{p}{chance.choice(_BETWEEN)}" for p in chance.choices(pieces, k=6))
            for _ in range(15)
        ]
        documents = [
            json.dumps({"user": chance.choice(["admin", "root", "anna.k", "bo"]), "t": text,
                        chance.choice(pieces): [text, 1.5]}, ensure_ascii=chance.random() < 0.5)
            for text in texts
        ]  # fmt: skip
        columns = {
            "host": pa.array(
                chance.choices(["web", "edge-07", "Edge-07", "test", "10.1.2.3"], k=15)
            ),
            "ip": pa.array(chance.choices(["10.1.2.3", "2001:db8::1", "::1", "19.27.7.1"], k=15)),
            "text": pa.array(texts),
            "json": pa.array(documents),
        }
        batch = pa.RecordBatch.from_pydict(columns)
        masking, counts = Masking(policy, KEYS, dt.datetime(2026, 11, 1, tzinfo=dt.UTC)), Counts()
        masking.collect(batch)
        masked = masking.mask(batch, _SCHEMA, counts)
        names = masking.names
        raw = masking.pseudonyms.raw_addresses
        search = LeakSearch(names.kinds, names.unsearched, raw, written=counts.addresses)
        for column in _SCHEMA.columns:
            how = policy.of(column.name)
            search.search(column.name, masked[column.name], how, in_json=column.is_json)
        assert not search.finish().hits, (texts, masked.to_pydict())


def test_a_day_of_a_hundred_thousand_addresses_is_not_held() -> None:
    """Some pseudonyms are raw addresses of other devices of the day."""
    chance = random.Random(7)
    policy = PrivacyConfig(key="K", columns={"ip": ColumnPolicy(action="pseudonym", kind="ip")})
    pseudonyms, counts = Pseudonyms(policy, KEYS), Counts()
    # A dense network: its pseudonyms are all within one network, too.
    raw = [f"10.{n >> 8 & 255}.{n & 255}.{chance.randrange(4)}" for n in range(65_536)]
    raw += [f"{chance.randrange(1, 220)}.{n >> 8 & 255}.{n & 255}.7" for n in range(40_000)]
    masked = pseudonyms.of_many("ip", list(dict.fromkeys(raw)))
    counts.wrote_addresses(pa.array(masked), np.ones(len(masked), np.int64))
    assert set(raw) & set(masked)
    search = LeakSearch({}, {}, pseudonyms.raw_addresses, written=counts.addresses)
    search.search("ip", pa.array(masked), policy.of("ip"), in_json=False)
    leaks = search.finish()
    assert not leaks.hits
    assert leaks.addresses == len(masked)
    search = LeakSearch({}, {}, pseudonyms.raw_addresses, written=counts.addresses)
    search.search("ip", pa.array([*masked, raw[5]]), policy.of("ip"), in_json=False)
    assert search.finish().hits == {("ip", "ip"): 1}


def test_names_of_a_day_do_not_depend_on_the_order_of_rows() -> None:
    policy = PrivacyConfig(
        key="K",
        columns={
            "a": ColumnPolicy(action="pseudonym", kind="user"),
            "b": ColumnPolicy(action="pseudonym", kind="host"),
        },
    )
    rows = [("petra", "nas07"), ("nas07", None), ("admin", "web"), ("4711", "petra")]
    found = []
    for order in (rows, rows[::-1]):
        names = DayNames(policy)
        for a, b in order:
            names.add(
                pa.RecordBatch.from_pydict({"a": pa.array([a]), "b": pa.array([b], pa.string())})
            )
        found.append((names.in_text(PSEUDONYMS), names.unsearched))
    assert found[0] == found[1]
    assert found[0][0].keys() == {"petra", "nas07"}


def test_deep_documents_stay_valid() -> None:
    deep = "[" * 850 + '"anna.k"' + "]" * 850
    texts = [f'{{"user": {deep}, "n": 1}}', '{"user": {"a": [1, "]", {"b": null}]}, "host": 7}']
    first, second = scanned(texts, in_json=True, user="user", host="hash")
    assert "anna.k" not in first
    assert first.endswith(', "n": 1}')
    found = json.loads(second)
    assert found["host"].startswith("hash-")
    assert found["user"]["a"][2] == {"b": None}


def test_keys_in_text_that_only_looks_like_json() -> None:
    texts = [
        '{"user": "an\\"na", "x": 1',
        '"user": [1, "a"',
        '"u\u017fer": "anna.k"',
        '"user": "a\nb"',
        '"USER" : "k%40x" \\u0041',
        '"user":true',
    ]
    for text, found in zip(texts, scanned(texts, user="user"), strict=True):
        assert "anna.k" not in found
        assert found != text
