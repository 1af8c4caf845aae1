"""Collations that only the application of a SQLite file defines, such as Android's LOCALIZED.

SQLite refuses every statement that may need a collation that is not defined, even one that never
uses it. So stand-ins are defined. The order of an index in such a collation is not known: comparing
with a stand-in could leave rows out without an error. So all comparisons of this package are
`COLLATE BINARY`, and a statement that uses a stand-in anyway (a view, a query, an SQL rule) fails.
"""

from __future__ import annotations

import re
import sqlite3

from exporter_pipelines.errors import ConfigurationError, listed

_BUILT_IN = {"BINARY", "NOCASE", "RTRIM"}
_COLLATE = re.compile(
    r"\bCOLLATE(?:\s|/\*.*?\*/|--[^\n]*\n)*"
    r"""("(?:[^"]|"")+"|\[[^\]]+\]|`(?:[^`]|``)+`|'(?:[^']|'')+'|[^\s,;()"'`\[\]]+)""",
    re.IGNORECASE | re.DOTALL,
)


class OwnCollations:
    """The collations of a file that SQLite does not have; defines a stand-in for each.

    Args:
        connection: Open, with any `text_factory`.

    Attributes:
        binary: What follows a compared column: ` COLLATE BINARY` if the file has such collations.
            Otherwise empty, because then an index in a collation of SQLite can be used.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._used: set[str] = set()
        names = _names(connection)
        for name in names:
            connection.create_collation(name, self._stand_in(name))
        self.binary = " COLLATE BINARY" if names else ""

    def forget_used(self) -> None:
        """Let the next statement run after one that was refused."""
        self._used.clear()

    def refuse_used(self) -> None:
        """Refuse a statement that compared text with a stand-in.

        Raises:
            ConfigurationError: names the collation.
        """
        if self._used:
            raise ConfigurationError(
                f"The collation {listed(sorted(self._used))} is defined only in the application of "
                "the SQLite file, and a view, a query or an SQL rule compares text with it.",
                "Write COLLATE BINARY after the compared columns, or read the tables without the "
                "view.",
            )

    def _stand_in(self, name: str) -> _Comparison:
        return _Comparison(name, self._used)


class _Comparison:
    """Compares two texts, and remembers that it did."""

    def __init__(self, name: str, used: set[str]) -> None:
        self._name, self._used = name, used

    def __call__(self, left: str, right: str) -> int:
        self._used.add(self._name)
        return (left > right) - (left < right)


def _names(connection: sqlite3.Connection) -> list[str]:
    """Names after COLLATE in the definitions of tables, views and indexes.

    A comment or a text may look like one; a stand-in that nothing uses does no harm.
    """
    found = connection.execute("SELECT sql FROM sqlite_schema WHERE sql LIKE '%collate%'")
    names: dict[str, str] = {}
    for (statement,) in found:
        text = statement.decode("utf-8", "replace") if isinstance(statement, bytes) else statement
        for match in _COLLATE.finditer(text):
            name = _unquoted(match[1])
            names.setdefault(name.upper(), name)
    return [name for upper, name in names.items() if upper not in _BUILT_IN]


def _unquoted(written: str) -> str:
    if written[0] == "[":
        return written[1:-1]
    if written[0] in "\"'`":
        return written[1:-1].replace(written[0] * 2, written[0])
    return written
