"""Schemas with names of columns that readers confuse."""

# ruff: noqa: UP045 - Pandera evaluates annotations, and pa.string is no class

from __future__ import annotations

from typing import Optional

import pandera.pandas as pandera
import pyarrow as pa

from exporter_pipelines_tests.definitions.logs.schema import LogRow


class DateRow(LogRow):
    """Readers add the day of the folder under this name."""

    day: Optional[pa.string] = pandera.Field(nullable=True, alias="Date")


class IndexRow(LogRow):
    """pandas makes an index of such a column."""

    index: Optional[pa.string] = pandera.Field(nullable=True, alias="__index_level_0__")


class CaseRow(LogRow):
    """Two names that differ only in case."""

    other: Optional[pa.string] = pandera.Field(nullable=True, alias="LEVEL")


class ComposedRow(LogRow):
    """Two names that look the same."""

    one: Optional[pa.string] = pandera.Field(nullable=True, alias="caf\u00e9")
    two: Optional[pa.string] = pandera.Field(nullable=True, alias="Cafe\u0301")


class ReasonsRow(LogRow):
    """The quarantine adds a column of this name."""

    reasons: Optional[pa.string] = pandera.Field(nullable=True, alias="Rejections")


class NamelessRow(LogRow):
    """A column without a name."""

    nameless: Optional[pa.string] = pandera.Field(nullable=True, alias=" ")
