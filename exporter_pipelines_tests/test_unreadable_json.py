"""JSON that databases accept and readers refuse is rejected, or exported as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.engine.unreadable_json import is_readable, unreadable
from exporter_pipelines.stores import LocalStore
from exporter_pipelines_tests.support.backends import Backend
from exporter_pipelines_tests.support.databases import sqlite_database
from exporter_pipelines_tests.support.datasets import export, rejected, rows
from exporter_pipelines_tests.test_postgres_values import DAY, NOON, values_dataset

REFUSED = {
    "half of a pair": r'{"a": "\ud800"}',
    "half of a pair in a key": r'{"\udc00": 1}',
    "halves of two pairs": r'["\ud83dx\ude00"]',
    "above 64 bits": '{"n": 18446744073709551616}',
    "below 64 bits": "[-9223372036854775809]",
    "wei": '{"n":123456789012345678901234567890}',
    "a document of one number": "123456789012345678901",
    "long before the point": "[123456789012345678901.5]",
    "overflow": '{"n": 1e400}',
    "just above a double": "[1.8e308]",
    "zero with an exponent": "[0e999]",
    "long exponent": "[1E+0000400]",
    "deep arrays": "[" * 901 + "]" * 901,
    "deep objects": '{"a":' * 901 + "1" + "}" * 901,
}
ACCEPTED = {
    "pair": r'{"a": "\ud83d\ude00"}',
    "escaped backslash": r'{"a": "\\ud800"}',
    "nul": r'{"a": "\u0000"}',
    "largest": '{"n": 18446744073709551615}',
    "smallest": "[-9223372036854775808]",
    "largest double": "[1.7976931348623157e308]",
    "tiny": "[1e-400]",
    "many digits": "[0.123456789012345678901234567890]",
    "digits in a text": '{"a": ", 99999999999999999999999 1e999 ]"}',
    "deep": "[" * 900 + "]" * 900,
    "brackets in a text": '{"a": "' + "[" * 1000 + '"}',
    "null": "null",
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_a_document_is_refused_wherever_it_stands(document: str) -> None:
    assert not is_readable(document)
    assert unreadable(pa.array(["{}", document])) == [1]
    assert unreadable(pa.array([document, None, "[]"]).slice(0)) == [0]
    # Around the border of two parts that are examined one after the other.
    for length in range(131_072 - 140, 131_072 + 20, 3):
        padding = json.dumps("x" * (length - 2))
        assert unreadable(pa.array([padding, document, "{}"]).slice(1)) == [0]
        assert unreadable(pa.array([padding, document, "{}"])) == [1]


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_a_document_that_every_reader_accepts_is_accepted(document: str) -> None:
    assert is_readable(document)
    assert unreadable(pa.array(["{}", document, None])) == []


_NUMBERS = st.integers(-(2**70), 2**70).map(str) | st.builds(
    "{}{}e{}".format, st.integers(-999, 999), st.sampled_from(["", ".5"]), st.integers(-400, 400)
)
_DOCUMENTS = st.recursive(
    _NUMBERS
    | st.text(max_size=5).map(json.dumps)
    | st.sampled_from([r'"\ud83d"', r'"\ud83d\ude00"']),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
    max_leaves=6,
)


@settings(max_examples=300)
@given(documents=st.lists(st.none() | _DOCUMENTS, max_size=6))
def test_the_quick_look_overlooks_nothing(documents: list[str | None]) -> None:
    expected = [n for n, text in enumerate(documents) if text and not is_readable(text)]
    assert unreadable(pa.array(documents, pa.string())) == expected


@pytest.fixture(params=["postgresql json", "postgresql jsonb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database whose table `v` has all documents that it can store."""
    documents = {**REFUSED, **ACCEPTED}
    if request.param == "sqlite":
        database = sqlite_database(tmp_path / "app.db")
        database.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, text TEXT, doc TEXT)")
        database.add(
            "v",
            *({"id": n, "at": NOON, "text": name, "doc": documents[name]}
              for n, name in enumerate(documents)),
        )  # fmt: skip
        return database.url
    backend: Backend = request.getfixturevalue("empty_db")
    kind = request.param.split()[1]
    backend.run(f"CREATE TABLE v (id int PRIMARY KEY, at timestamptz, text text, doc {kind})")
    for number, (name, document) in enumerate(documents.items()):
        # jsonb has no such escapes, and writes every double above 2^64 as an integer.
        if kind == "json" or not ("pair" in name or name in {"nul", "largest double"}):
            backend.run(f"INSERT INTO v VALUES ({number}, '{NOON}', %s, %s)", [name, document])
    return backend.url


def test_documents_that_readers_refuse_are_rejected_with_the_reason(
    url: str, store: LocalStore
) -> None:
    exported = values_dataset(source={"timezone": "UTC"}, max_rejected_pct=100)
    manifest = export(url, exported, DAY, store)
    for row in rejected(store, manifest):
        (reason,) = row["rejections"]
        assert (reason["rule"], reason["column"], row["doc"]) == ("invalid_json", "doc", None)
        assert row["text"] in REFUSED
    assert {row["text"] for row in rows(store, manifest)} <= {*ACCEPTED, "zero with an exponent"}
    assert manifest.counts.rejected + manifest.counts.exported == manifest.counts.read > 15


def test_documents_that_readers_refuse_are_text_if_the_dataset_says_so(
    url: str, store: LocalStore
) -> None:
    exported = values_dataset(source={"timezone": "UTC"}, unreadable_json="text")
    manifest = export(url, exported, DAY, store)
    assert manifest.counts.rejected == 0
    refused: dict[str, Any] = {
        row["text"]: row["doc"] for row in rows(store, manifest) if row["text"] in REFUSED
    }
    as_text = {name for name, doc in refused.items() if isinstance(doc, str)}
    assert len(as_text) == manifest.data_quality_metrics["changed.json_as_text"] > 7
    assert set(refused) - as_text <= {"zero with an exponent"}
    assert json.loads(refused["wei"]) == json.loads(REFUSED["wei"])
    assert manifest.export_config["unreadable_json"] == "text"


def test_text_that_is_no_json_is_exported_as_text_if_the_dataset_says_so(
    tmp_path: Path, store: LocalStore
) -> None:
    database = sqlite_database(tmp_path / "app.db")
    database.run("CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT, doc)")
    for number, value in enumerate(["plain", b"\x00\xff", '{"a": 1}', 1e999]):
        database.add("v", {"id": number, "at": NOON, "doc": value})
    exported = values_dataset(source={"timezone": "UTC"}, unreadable_json="text")
    manifest = export(database.url, exported, DAY, store)
    assert [row["doc"] for row in rows(store, manifest)] == [
        "plain", "\\x00ff", {"a": 1}, "Infinity",
    ]  # fmt: skip
    assert manifest.data_quality_metrics["changed.json_as_text"] == 3
