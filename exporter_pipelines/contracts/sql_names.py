"""Names as they are written in SQL that a message proposes.

Belongs here: quoting for people, who paste the statement.
Does not belong here: quoting in statements that this project runs (psycopg, `sources.sqlite`).
"""

from __future__ import annotations

import re

# The key words that PostgreSQL does not accept as the name of a table.
# https://www.postgresql.org/docs/current/sql-keywords-appendix.html
_KEY_WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check
collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user default deferrable
desc distinct do else end except false fetch for foreign freeze from full grant group having
ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps
placing primary references returning right select session_user similar some symmetric
system_user table tablesample then to trailing true union unique user using variadic verbose
when where window with
"""
_RESERVED = frozenset(_KEY_WORDS.split())


def quoted(name: str) -> str:
    """A table as `name` or `schema.name`, with quotation marks where SQL needs them."""
    return ".".join(map(quoted_column, name.split(".")))


def quoted_column(name: str) -> str:
    """A column, with quotation marks where SQL needs them."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'
