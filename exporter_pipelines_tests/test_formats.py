"""The contract of every format with every compression: what goes in comes out, byte for byte."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import random
from collections import Counter
from itertools import cycle
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter_pipelines.contracts.row_schema import UTC_MICROSECONDS, Column, RowSchema
from exporter_pipelines.errors import UnknownFormatError
from exporter_pipelines.formats import FORMATS, compression_named, format_named, outer_compression
from exporter_pipelines.formats.compression import COMPRESSIONS
from exporter_pipelines.formats.timestamps import iso8601_utc

# Parquet packs itself; what the others write is packed as any bytes are.
PACKED = [*zip((f for f in FORMATS if f != "parquet"), cycle(COMPRESSIONS)),
          *(("parquet", c) for c in COMPRESSIONS)]  # fmt: skip
every_format = pytest.mark.parametrize("name", FORMATS)
every_json = pytest.mark.parametrize("name", ["jsonl"])
every_compression = pytest.mark.parametrize("compression", COMPRESSIONS)
# The same examples on every run: a failure that comes and goes helps nobody.
examples = settings(max_examples=60)

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
SCHEMA = RowSchema(
    "",
    tuple(
        Column(name, type_, nullable, required=True, is_json=name.startswith("document"))
        for name, type_, nullable in (
            ("key", pa.int64(), False),
            ("time", UTC_MICROSECONDS, False),
            ("number", pa.int64(), True),
            ("document", pa.string(), True),  # JSON columns are written last, wherever they stand
            ("real", pa.float64(), True),
            ("flag", pa.bool_(), True),
            ("text", pa.string(), True),
            ('größe "q"', pa.string(), True),
            ("later", UTC_MICROSECONDS, True),
            ("document,2", pa.string(), True),
        )
    ),
    pandera=None,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)).map(  # noqa: DTZ001
    lambda time: time.replace(tzinfo=dt.UTC)
)
integers = st.integers(-(2**63), 2**63 - 1)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value, ensure_ascii=False).replace("Infinity", "1e400"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "key": integers,
            "time": times,
            "number": st.none() | integers,
            "document": st.none() | documents,
            "real": st.none() | st.floats(),
            "flag": st.none() | st.booleans(),
            "text": st.none() | texts,
            'größe "q"': st.none() | texts,
            "later": st.none() | times,
            "document,2": st.none() | documents,
        }
    ),
    max_size=8,
)
NASTY = [
    '"', "\\", "\\\\", '\\"', '","document":', ',"document,2":{}', "}\n{", "\r\n", "\x00", "\x1f",
    "\x7f", "\u2028\u2029", "\ufeff", "\ufffe\uffff", "e\u0301", "😀", "\U0010ffff", "</script>",
    "null", "", " ", "a" * 70_000,
]  # fmt: skip
DOCUMENTS = [
    "{}", "[]", "null", '"null"', "1e400", "-1E-400", "1" * 5_000, "0.1000", '{"a":1,"a":2}',
    '{"document":{"document,2":[1,{"x":"}]"}]}}', '"\\\\"', '"\\",\\"document,2\\":"', '" , "',
    "[" * 3_000 + "]" * 3_000, ' { "a" : [ 1 , 2 ] } ', '"\\ud800"', '"\\u0000"', "true",
]  # fmt: skip


def batch_of(rows: list[dict[str, Any]], schema: RowSchema = SCHEMA) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema.arrow)


def row(**values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(SCHEMA.names)
    return {**empty, "key": 1, "time": dt.datetime(2026, 11, 1, tzinfo=dt.UTC), **values}


def encoded(
    name: str,
    batch: pa.RecordBatch,
    changed: Counter[str] | None = None,
    *,
    compression: str = "none",
    step: int = 2**30,
) -> bytes:
    """A whole file before it is packed, its rows handed over `step` at a time."""
    file = format_named(name)(SCHEMA, compression, {"dataset": "test"})
    counter = Counter() if changed is None else changed
    batches = [batch.slice(at, step) for at in range(0, len(batch), step)]
    pieces = [*(piece for b in batches for piece in file.encode(b, counter)), *file.finish()]
    return b"".join(pieces)


def packed(compression: str, data: bytes, step: int = 2**30) -> bytes:
    """`data`, handed over in pieces of `step` bytes."""
    compressor = compression_named(compression).compressor()
    pieces = [compressor.compress(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join(pieces) + compressor.flush()


def unpacked(compression: str, data: bytes) -> bytes:
    """As any other program would do it."""
    match compression:
        case "gzip":
            return gzip.decompress(data)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def decoded(name: str, compression: str, data: bytes) -> list[dict[str, Any]]:
    if not data:
        return []
    outer = outer_compression(name, compression)
    with compression_named(outer).open(io.BytesIO(data)) as file:
        batches = list(format_named(name)(SCHEMA).decode(file))
    assert all(batch.schema == SCHEMA.arrow for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def delivered(rows: list[dict[str, Any]], format_: str = "jsonl") -> list[dict[str, Any]]:
    """What a reader gets: what the format's documentation says that it changes, changed."""

    def value(name: str, given: Any) -> Any:
        if format_named(format_).holds_json:  # no NaN, no infinity, and one kind of null
            if isinstance(given, float) and given - given != 0:
                return None
            return None if name.startswith("document") and given == "null" else given
        if format_ == "csv" and isinstance(given, str) and given.startswith(FORMULA_SIGNS):
            return f"'{given}"
        return given

    return [{name: value(name, given) for name, given in row.items()} for row in rows]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize(("name", "compression"), PACKED)
@given(rows=ROWS)
@examples
def test_rows_come_back_as_they_went(name: str, compression: str, rows: list[Any]) -> None:
    data = encoded(name, batch_of(rows), compression=compression, step=3)
    if not rows:
        assert data == b""  # and so no file
        return
    back = decoded(name, compression, packed(outer_compression(name, compression), data))
    # repr tells -0.0 from 0.0, and 1 from True.
    assert repr(back) == repr(batch_of(delivered(rows, name)).to_pylist())


@every_format
@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_nasty_text_comes_back(name: str, text: str) -> None:
    rows = [row(text=text, **{'größe "q"': text}, document=json.dumps(text, ensure_ascii=False))]
    assert decoded(name, "none", encoded(name, batch_of(rows))) == delivered(rows, name)


@every_format
@pytest.mark.parametrize("text", DOCUMENTS, ids=lambda text: text[:20])
def test_json_text_is_not_touched(name: str, text: str) -> None:
    rows = [row(document=text, **{"document,2": text}), row(), row(**{"document,2": text})]
    data = encoded(name, batch_of(rows))
    assert not format_named(name).holds_json or data.count(text.encode()) >= 3
    assert decoded(name, "none", data) == delivered(rows, name)


@every_json
@given(rows=ROWS)
@examples
def test_every_line_is_strict_json_with_all_columns(name: str, rows: list[Any]) -> None:
    lines = encoded(name, batch_of(rows)).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(rows)
    for line, given_row in zip(lines, rows, strict=True):
        value = json.loads(line, parse_constant=refuse)
        assert list(value) == [n for n in SCHEMA.names if n not in SCHEMA.json_columns] + [
            "document",
            "document,2",
        ]
        assert (value["key"], value["text"]) == (given_row["key"], given_row["text"])


@pytest.mark.parametrize("name", [f for f in FORMATS if FORMATS[f].holds_json])
@given(rows=ROWS)
@examples
def test_values_that_json_cannot_hold_are_counted(name: str, rows: list[Any]) -> None:
    changed: Counter[str] = Counter()
    encoded(name, batch_of(rows), changed)
    reals = [row["real"] for row in rows if row["real"] is not None]
    assert changed["nonfinite_to_null"] == sum(real - real != 0 for real in reals)
    nulls = [row[n] == "null" for row in rows for n in ("document", "document,2")]
    assert changed["json_null_to_null"] == sum(nulls)


@every_format
def test_a_slice_of_a_batch_is_encoded_like_a_copy(name: str) -> None:
    rows = [row(key=n, real=float("nan"), text="x" * n, document=str(n)) for n in range(20)]
    changed: Counter[str] = Counter()
    part = batch_of(rows).slice(5, 10)
    assert encoded(name, part, changed) == encoded(name, batch_of(rows[5:15]))
    assert changed["nonfinite_to_null"] == (10 if format_named(name).holds_json else 0)


@every_format
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_bytes_do_not_depend_on_the_batches(name: str, step: int) -> None:
    batch = batch_of([row(key=n, text="x" * (n % 300), document=str(n)) for n in range(2_000)])
    whole = encoded(name, batch, compression="zstd")
    assert encoded(name, batch, compression="zstd", step=step) == whole


@given(rows=ROWS)
@examples
def test_a_json_file_is_one_strict_document(rows: list[Any]) -> None:
    data = encoded("json", batch_of(rows), step=2)
    if not rows:
        assert data == b""
        return
    document = json.loads(data, parse_constant=refuse)
    lines = encoded("jsonl", batch_of(rows)).splitlines()
    assert document == {
        "export_metadata": {"dataset": "test"},
        "data": [json.loads(line) for line in lines],
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "a=1", ""])
def test_csv_defuses_formulas_and_counts_them(text: str) -> None:
    changed: Counter[str] = Counter()
    data = encoded("csv", batch_of([row(text=text)]), changed)
    (shown,) = (line["text"] for line in csv.DictReader(io.StringIO(data.decode(), newline="")))
    risky = text.startswith(FORMULA_SIGNS)
    assert shown == (f"'{text}" if risky else text)
    assert changed["csv_formula_defused"] == risky


def test_parquet_groups_are_bounded_by_rows_and_by_bytes() -> None:
    small = batch_of([row(key=n) for n in range(140_000)])
    large = batch_of([row(key=n, text="x" * 1_000_000) for n in range(300)])
    groups = []
    for batch in (small, large):
        with parquet.ParquetFile(io.BytesIO(encoded("parquet", batch))) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            groups.append(sizes)
    assert groups == [[65_536, 65_536, 8_928], [*[34] * 8, 28]]


@every_format
def test_no_rows_are_no_bytes(name: str) -> None:
    assert encoded(name, batch_of([])) == b""
    assert decoded(name, "none", b"") == []


@every_format
def test_lines_longer_than_a_block_come_back(name: str) -> None:
    rows = [row(key=n, text="ä\n" * 1_500_000, document='"' + "b" * n + '"') for n in range(4)]
    assert decoded(name, "none", encoded(name, batch_of(rows))) == rows


@every_format
def test_decoded_batches_are_bounded(name: str) -> None:
    data = encoded(name, batch_of([row(text="x" * 1000)] * 20_000))
    batches = list(format_named(name)(SCHEMA).decode(io.BytesIO(data)))
    assert sum(map(len, batches)) == 20_000
    limit = 70_000_000 if name == "csv" else 8_000_000  # CSV: a block of text
    assert max(batch.nbytes for batch in batches) < limit


@every_compression
@given(data=st.binary(max_size=300), step=st.integers(1, 50))
@examples
def test_other_programs_can_unpack(compression: str, data: bytes, step: int) -> None:
    assert unpacked(compression, packed(compression, data, step)) == data


@every_compression
@pytest.mark.parametrize("step", [777, 65_536, 1_048_575, 1_048_576, 3_000_001])
def test_packed_bytes_do_not_depend_on_how_the_input_was_cut(compression: str, step: int) -> None:
    dice = random.Random(1)
    lines = [b'{"id":%d,"user":%d}\n' % (n, dice.randrange(9999)) for n in range(120_000)]
    data = b"".join(lines)
    one = packed(compression, data)
    assert packed(compression, data, step) == one
    assert unpacked(compression, one) == data


@every_compression
def test_packed_bytes_say_nothing_of_time_or_name(compression: str) -> None:
    once = packed(compression, b"x" * 1000)
    assert packed(compression, b"x" * 1000) == once
    if compression == "gzip":
        assert (once[3] & 0b1000, once[4:8]) == (0, bytes(4))  # no name, no time


@given(st.lists(st.none() | times, min_size=1, max_size=20))
@examples
def test_timestamps_are_written_like_isoformat(instants: list[dt.datetime | None]) -> None:
    expected = [t and t.replace(tzinfo=None).isoformat(timespec="microseconds") for t in instants]
    texts = iso8601_utc(pa.array(instants, UTC_MICROSECONDS)).to_pylist()
    assert texts == [text and f"{text}Z" for text in expected]


def test_an_unknown_format_or_compression_lists_the_known_ones() -> None:
    with pytest.raises(UnknownFormatError, match=rf"'xml'.*there are: {', '.join(FORMATS)}"):
        format_named("xml")
    with pytest.raises(UnknownFormatError, match=r"there are: none, gzip, zstd"):
        compression_named("lzma")
