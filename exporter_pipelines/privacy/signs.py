"""Control characters that stand for parts of texts while a column is searched.

Polars finds and replaces parts of texts, but does not say where they are. The place of a sign does.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from exporter_pipelines.privacy.spans import Parts, between, bytes_of, strings

_SIGNS = [chr(code) for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)]
"""`json_text` uses others, and text has the remaining ones often."""
_END_OF_CONTROLS = 32


def free_signs(texts: pa.Array) -> list[str]:
    """The signs that no text has.

    Args:
        texts: A `large_string` array without nulls.
    """
    data, offsets = bytes_of(texts)
    data = data[offsets[0] : offsets[-1]]
    used = set(np.unique(data[data < _END_OF_CONTROLS]).tolist())
    return [sign for sign in _SIGNS if ord(sign) not in used]


def all_found(texts: pl.Series, pattern: str) -> pa.Array:
    """All matches in their order, over all texts."""
    return to_arrow(texts.str.extract_all(pattern).explode().drop_nulls())


def with_sign(texts: pl.Series, pattern: str, sign: str) -> pl.Series:
    """The texts with a sign in place of each match."""
    return texts.str.replace_all(pattern, sign)


def all_parts(texts: pl.Series, pattern: str, sign: str) -> Parts:
    """All matches in their order, over all texts, and where they are.

    Args:
        texts: To search, without nulls.
        pattern: Has no groups.
        sign: Not in any text.

    Returns:
        Positions in the bytes of all texts, one after the other; `by` has the matches.
    """
    marked = to_arrow(texts.str.replace_all(pattern, f"{sign}${{0}}{sign}"))
    where = at_signs(marked, sign, strings([])).starts
    found = between(marked, where[::2] + 1, where[1::2])
    where = where - np.arange(len(where)) - bytes_of(marked)[1][0]
    return Parts(where[::2], where[1::2], found)


def at_signs(texts: pa.Array, sign: str, by: pa.Array) -> Parts:
    """The places of a sign.

    Args:
        texts: A `large_string` array without nulls.
        sign: One byte.
        by: What stands for the sign at each of its places.
    """
    data, offsets = bytes_of(texts)
    first, last = int(offsets[0]), int(offsets[-1])
    where = first + np.flatnonzero(data[first:last] == ord(sign))
    return Parts(where, where + 1, by)


def to_arrow(texts: pl.Series) -> pa.Array:
    """A series of strings as a `large_string` array."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.cast(pa.large_string())
