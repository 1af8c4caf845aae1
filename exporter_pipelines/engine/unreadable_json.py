"""Finds JSON documents that databases accept, but that common readers refuse.

One such document makes a whole file unreadable: pandas refuses integers beyond 64 bits, polars and
pyarrow numbers that overflow a double, DuckDB and pyarrow half of a surrogate pair, and Python's
json more than about 1,000 levels. So its row is rejected, or (`unreadable_json: text`) the document
is exported as a string.

Nearly all documents are harmless, and parsing them would take as long as the rest of an export. So
numpy looks for suspicious bytes first (2 ms for 50,000 documents of 100 bytes), and only suspicious
documents are examined exactly.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.engine.rejection import Rejection

RULE = "invalid_json"
CHANGE = "json_as_text"

MAX_DEPTH = 900
"""Deeper documents are refused; Python's json reads about 1,000 levels."""
SHOWN_CHARS = 500

_INTEGERS = range(-(2**63), 2**64)
_LONGEST_INTEGER = 20
_LARGEST_EXPONENT = 308

_TOKENS = re.compile(
    r'(?P<text>"(?:[^"\\]++|\\.)*+")|(?P<open>[\[{])|(?P<close>[\]}])'
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)",
    re.DOTALL,
)
_NUMBER = re.compile(r"(-?[0-9]+)(?:\.[0-9]+)?(?:[eE]([+-]?[0-9]+))?")

# A chunk and the arrays computed from it fit into the cache of a core.
_CHUNK_BYTES = 1 << 17
_OVERLAP_BYTES = 64
_LOOKAHEAD_BYTES = 16
_HALF_OF_A_PAIR = r"\\u[dD][89a-fA-F]"
_BEFORE_A_NUMBER = np.zeros(256, bool)
_BEFORE_A_NUMBER[list(b"[:,- \t\r\n")] = True
_AFTER_A_NUMBER = np.zeros(256, bool)
_AFTER_A_NUMBER[list(b"]}, \t\r\n")] = True

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]


def without_unreadable(
    batch: pa.RecordBatch, schema: RowSchema, *, as_text: bool, changed: Counter[str]
) -> tuple[pa.RecordBatch, list[Rejection]]:
    """The batch without documents that common readers refuse.

    Args:
        batch: Rows as read.
        schema: Of the batch; names the columns that hold JSON.
        as_text: Whether such a document becomes a string. Otherwise it is null, and its row is
            rejected.
        changed: The documents that became a string are added.
    """
    rejections: list[Rejection] = []
    for name in schema.json_columns:
        position = batch.schema.get_field_index(name)
        column = batch.column(position)
        found = unreadable(column)
        if not found:
            continue
        texts = column.to_pylist()
        for row in found:
            if as_text:
                texts[row] = json.dumps(texts[row], ensure_ascii=False)
                changed[CHANGE] += 1
            else:
                rejections.append(Rejection(row, RULE, name, texts[row][:SHOWN_CHARS]))
                texts[row] = None
        batch = batch.set_column(
            position, batch.schema.field(position), pa.array(texts, column.type)
        )
    return batch, rejections


def unreadable(documents: pa.Array) -> list[int]:
    """The rows whose document is refused by common readers.

    Args:
        documents: Text of valid JSON, on one line each.
    """
    suspects = np.unique(np.concatenate([*_suspects(documents), np.zeros(0, np.int64)]))
    texts = documents.take(pa.array(suspects)).to_pylist()
    return [
        int(row)
        for row, text in zip(suspects, texts, strict=True)
        if text is not None and not is_readable(text)
    ]


def is_readable(document: str) -> bool:
    """Whether all common readers accept a valid JSON document."""
    depth = 0
    for token in _TOKENS.finditer(document):
        match token.lastgroup:
            case "text":
                if "\\u" in token[0] and not _is_unicode(token[0]):
                    return False
            case "open":
                depth += 1
                if depth > MAX_DEPTH:
                    return False
            case "close":
                depth -= 1
            case _:
                if not _is_number_of_64_bits(token[0]):
                    return False
    return True


def _is_unicode(string: str) -> bool:
    try:
        json.loads(string).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number_of_64_bits(number: str) -> bool:
    """Whether a number fits into 64 bits: as an integer, or as a double with any rounding."""
    found = _NUMBER.fullmatch(number)
    assert found is not None
    whole, exponent = found.groups()
    if len(whole) > _LONGEST_INTEGER or int(whole) not in _INTEGERS:
        return False
    if exponent is None:
        return True
    is_small = len(exponent.lstrip("+-0")) <= 3 and int(exponent) <= _LARGEST_EXPONENT
    return exponent[0] == "-" or (is_small and abs(float(number)) != float("inf"))


def _suspects(documents: pa.Array) -> Iterator[Positions]:
    """Rows that may be refused; all that are refused are among them."""
    offsets = np.frombuffer(
        documents.buffers()[1], np.int32, len(documents) + 1, documents.offset * 4
    )
    if offsets[0] == offsets[-1]:
        return
    data = np.frombuffer(documents.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    if np.diff(offsets).max() > 2 * MAX_DEPTH:
        opening = np.flatnonzero((data | 0x20) == ord("{"))  # also [
        yield np.flatnonzero(np.diff(np.searchsorted(opening, offsets)) > MAX_DEPTH)
    # A document that is a number has nothing before it; such columns are rare.
    begins = data[offsets[:-1][np.diff(offsets) > 0]]
    if (((begins - ord("0")) < 10) | (begins == ord("-"))).any():
        yield np.arange(len(documents))
        return
    for start in range(0, len(data), _CHUNK_BYTES - _OVERLAP_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        if start + _CHUNK_BYTES >= len(data):
            chunk = np.concatenate([chunk, np.zeros(_LOOKAHEAD_BYTES + 1, np.uint8)])
        numbers = _suspicious_numbers(chunk)
        if len(numbers):
            yield np.searchsorted(offsets, numbers + start, "right") - 1
    # Most batches have none, and searching all documents as one text takes a tenth of the time.
    ends = pa.py_buffer(offsets[[0, -1]])
    one_text = pa.BinaryArray.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(data)])
    if _has_half_of_a_pair(one_text)[0]:
        yield np.flatnonzero(_has_half_of_a_pair(documents))


def _has_half_of_a_pair(texts: pa.Array) -> NDArray[np.bool_]:
    found = pc.match_substring_regex(texts, _HALF_OF_A_PAIR).fill_null(False)
    matches: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return matches


def _suspicious_numbers(chunk: Bytes) -> Positions:
    """Where numbers begin that have 19 digits or more, and exponents of three digits or more."""
    digits = (chunk - ord("0")) < 10
    runs = digits[:-1] & digits[1:]
    for step in (2, 4, 8, 3):  # runs of 4, 8, 16 and 19 digits
        runs = runs[:-step] & runs[step:]
    found = []
    if runs.any():
        begins = np.flatnonzero(runs)
        begins = begins[(begins > 0) & _BEFORE_A_NUMBER[chunk[begins - 1]]]
        found.append(begins[_may_overflow(chunk, digits, begins)])
    exponents = np.flatnonzero(digits[:-1] & ((chunk[1:] | 0x20) == ord("e"))) + 1
    exponents = exponents[exponents < len(chunk) - _LOOKAHEAD_BYTES]
    if len(exponents):
        first = exponents + 1 + (chunk[exponents + 1] == ord("+"))
        has_three = digits[first] & digits[first + 1] & digits[first + 2]
        exponents, after = exponents[has_three], first[has_three] + 3
        # A text such as a hash has letters after the digits.
        for _ in range(_LOOKAHEAD_BYTES - 6):
            after = after + digits[after]
        found.append(exponents[digits[after] | _AFTER_A_NUMBER[chunk[after]]])
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _may_overflow(chunk: Bytes, digits: NDArray[np.bool_], begins: Positions) -> NDArray[np.bool_]:
    """Whether numbers of 19 digits or more may be outside of -2^63 to 2^64 - 1."""
    last = len(chunk) - 1
    has_20, has_21 = (digits[np.minimum(begins + n, last)] for n in (19, 20))
    leading = chunk[begins] * np.uint16(10) + chunk[begins + 1]
    is_negative = chunk[begins - 1] == ord("-")
    leading_18, leading_92 = (ord("0") * 11 + n for n in (18, 92))
    found: NDArray[np.bool_] = has_20 & (has_21 | is_negative | (leading >= leading_18))
    found |= is_negative & (leading >= leading_92)
    return found
