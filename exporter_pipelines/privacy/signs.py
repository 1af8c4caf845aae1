"""Control characters that stand for parts of texts while a column is searched.

Polars finds and replaces parts of texts, but does not say where they are. The place of a sign does.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.privacy.spans import Parts, all_bytes, between, bytes_of, strings

_SIGNS = [chr(code) for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)]
"""`json_text` uses others, and text has the remaining ones often."""
_END_OF_CONTROLS = 32


def free_signs(texts: pa.Array) -> list[str]:
    """The signs that no text has.

    Args:
        texts: A `large_string` array without nulls.
    """
    data = all_bytes(texts)
    used = set(np.unique(data[data < _END_OF_CONTROLS]).tolist())
    return [sign for sign in _SIGNS if ord(sign) not in used]


def have(texts: pa.Array, *characters: str) -> bool:
    """Whether a text has one of these ASCII characters; much faster than a regular expression.

    Args:
        texts: A `large_string` array without nulls.
    """
    data = all_bytes(texts)
    return any((data == ord(character)).any() for character in characters)


def rows_with(texts: pa.Array, pattern: str) -> np.ndarray:
    """The rows whose texts have a match."""
    return series(texts).str.contains(pattern).arg_true().to_numpy()


def all_found(texts: pa.Array, pattern: str) -> pa.Array:
    """All matches in their order, over all texts."""
    return to_arrow(series(texts).str.extract_all(pattern).explode().drop_nulls())


def with_sign(texts: pa.Array, pattern: str, sign: str) -> pa.Array:
    """The texts with a sign in place of each match."""
    return to_arrow(series(texts).str.replace_all(pattern, sign))


def with_rows(texts: pa.Array, rows: np.ndarray, others: pa.Array) -> pa.Array:
    """The texts, with others in some rows."""
    return to_arrow(series(texts).scatter(rows, series(others)))


def all_parts(texts: pa.Array, pattern: str, sign: str) -> Parts:
    """All matches in their order, over all texts, and where they are.

    Args:
        texts: To search, without nulls.
        pattern: Has no groups.
        sign: Not in any text.

    Returns:
        Their positions; `by` has the matches.
    """
    marked = to_arrow(series(texts).str.replace_all(pattern, f"{sign}${{0}}{sign}"))
    where = at_signs(marked, sign, strings([])).starts
    found = between(marked, where[::2] + 1, where[1::2])
    where = where - np.arange(len(where)) - bytes_of(marked)[1][0] + bytes_of(texts)[1][0]
    return Parts(where[::2], where[1::2], found)


def at_signs(texts: pa.Array, sign: str, by: pa.Array) -> Parts:
    """The places of a sign.

    Args:
        texts: A `large_string` array without nulls.
        sign: One byte.
        by: What stands for the sign at each of its places.
    """
    where = bytes_of(texts)[1][0] + np.flatnonzero(all_bytes(texts) == ord(sign))
    return Parts(where, where + 1, by)


def series(texts: pa.Array) -> pl.Series:
    """A `large_string` array as a series; its bytes are not copied."""
    return pl.Series(values=texts)


def to_arrow(texts: pl.Series) -> pa.Array:
    """A series of strings as a `large_string` array."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.cast(pa.large_string())
