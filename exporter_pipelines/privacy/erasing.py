"""Removes the rows of subjects from batches of published rows, and redacts subjects in text.

A row is removed if a column is a subject. If a text or a JSON document has a subject, only the
subject is replaced. A key cannot be changed, so a row whose key has a subject is removed too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.contracts.row_schema import REASONS_COLUMN, Column, RowSchema
from exporter_pipelines.privacy.subject_lookup import Subjects
from exporter_pipelines.privacy.subject_search import SubjectSearch


@dataclass
class Erased:
    """What was erased.

    Attributes:
        rows: Label -> rows that were removed; each is counted once.
        values: Label -> texts and documents that were changed, in rows that stay.
        columns: Column -> number of its values that are or have a subject.
    """

    rows: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.columns)

    def add(self, other: Erased) -> None:
        """Add what was erased elsewhere."""
        self.rows.update(other.rows)
        self.values.update(other.values)
        self.columns.update(other.columns)


class Erasing:
    """Erases subjects from rows as they are published.

    Args:
        kept: Subjects as they are in columns that no policy changes.
        masked: Subjects as they are in the columns that a policy changes.
        columns: Names of the latter.
        key: Name of the key column.
        whole_rows: Labels of subjects whose rows are removed even if only a text has them.
    """

    def __init__(
        self,
        kept: Subjects,
        masked: Subjects | None = None,
        columns: Collection[str] = (),
        *,
        key: str,
        whole_rows: Collection[str] = (),
    ) -> None:
        self._whole_rows = frozenset(whole_rows)
        self._kept = SubjectSearch(kept, self._whole_rows)
        self._masked = self._kept if masked is None else SubjectSearch(masked, self._whole_rows)
        self._columns, self._key = frozenset(columns), key

    def erase(
        self, batch: pa.RecordBatch, schema: RowSchema, erased: Erased
    ) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """The rows without subjects, and the rows that were removed, as they were.

        Args:
            batch: Has the columns of `schema`, and perhaps others.
            schema: Its columns that are searched.
            erased: What was erased is added.
        """
        labels: dict[int, str] = {}
        texts: dict[str, dict[int, tuple[str, str]]] = {}
        for column in schema.columns:
            if pa.types.is_string(column.type):
                texts[column.name] = self._examine(batch[column.name], column, labels, erased)
            elif pa.types.is_integer(column.type) and column.name != self._key:
                self._examine_numbers(batch[column.name], column.name, labels, erased)
        erased.rows.update(labels.values())
        changed = batch
        for name, found in texts.items():
            stays = {row: each for row, each in found.items() if row not in labels}
            erased.values.update(label for _, label in stays.values())
            changed = _with_texts(changed, name, {row: text for row, (text, _) in stays.items()})
        if not labels:
            return changed, batch.slice(0, 0)
        removed = np.zeros(len(batch), bool)
        removed[list(labels)] = True
        return changed.filter(pa.array(~removed)), batch.filter(pa.array(removed))

    def rows_with_subjects(
        self, batch: pa.RecordBatch, schema: RowSchema, erased: Erased
    ) -> dict[int, str]:
        """Row -> label, of all rows of a batch that are to be removed as a whole."""
        labels: dict[int, str] = {}
        for column in schema.columns:
            if pa.types.is_string(column.type):
                for row, (_, label) in self._examine(
                    batch[column.name], column, labels, erased
                ).items():
                    labels.setdefault(row, label)
            elif pa.types.is_integer(column.type) and column.name != self._key:
                self._examine_numbers(batch[column.name], column.name, labels, erased)
        return labels

    def quarantined_with_subjects(self, lines: list[bytes], erased: Erased) -> dict[int, str]:
        """Position -> label, of the lines of a quarantine file that have a subject.

        Such a line is removed as a whole: it is in no export, and its row is in the source.
        """
        texts = pa.array([line.decode("utf-8", "replace") for line in lines], pa.string())
        searches = {self._kept, self._masked}
        rows = sorted({row for s in searches for row in s.candidates(texts, in_json=True)})
        found: dict[int, str] = {}
        for row in rows:
            place = self._in_line(texts[row].as_py())
            if place is not None:
                column, found[row] = place
                erased.columns[column] += 1
        erased.rows.update(found.values())
        return found

    def lines_with_subjects(self, lines: list[bytes], name: str, erased: Erased) -> dict[int, str]:
        """Position -> label, of the lines of another text that have a subject.

        Args:
            lines: Of the text.
            name: Under which they are counted in `erased.columns`.
            erased: What was found is added.
        """
        texts = pa.array([line.decode("utf-8", "replace") for line in lines], pa.string())
        found = {
            row: label
            for row in self._kept.candidates(texts, in_json=False)
            if (label := self._kept.first_in(texts[row].as_py())) is not None
        }
        if found:
            erased.columns[name] += len(found)
        return found

    def is_in_document(self, document: object) -> bool:
        """Whether a document of another kind has a subject, such as settings."""
        text = json.dumps(document, ensure_ascii=False)
        return self._kept.first_in_json(text) is not None

    def is_quarantined_value(self, column: str | None, value: str | None) -> str | None:
        """The label of a subject in the value for which a row was rejected."""
        if value is None:
            return None
        return self._search_of(column or "").first_in(value)

    def _in_line(self, line: str) -> tuple[str, str] | None:
        """The column and the label of the first subject in a line."""
        try:
            return next(self._in_fields(json.loads(line)), None)
        except (ValueError, RecursionError, AttributeError, TypeError):
            # A number that Python refuses, or no line of an export: the columns are not known.
            label = self._kept.first_in_json(line) or self._masked.first_in_json(line)
            return ("?", label) if label else None

    def _in_fields(self, fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """The columns that have a subject, and its label."""
        for name, value in fields.items():
            if name == REASONS_COLUMN:
                values = [(each.get("column") or "", each.get("value")) for each in value or ()]
            else:
                values = [(name, value)]
            for column, each in values:
                if (label := self._in_value(column, each)) is not None:
                    yield column, label

    def _in_value(self, column: str, value: object) -> str | None:
        search = self._search_of(column)
        match value:
            case None | bool():
                return None
            case str():
                return search.first_in(value)
            case int():
                return search.whole(str(value)) if column != self._key else None
            case _:
                return search.first_in_json(json.dumps(value, ensure_ascii=False))

    def _search_of(self, column: str) -> SubjectSearch:
        return self._masked if column in self._columns else self._kept

    def _examine(
        self, values: pa.Array, column: Column, labels: dict[int, str], erased: Erased
    ) -> dict[int, tuple[str, str]]:
        """Row -> (text without subjects, label); rows to remove are added to `labels`."""
        search, changed = self._search_of(column.name), {}
        for row in search.candidates(values, in_json=column.is_json):
            text = values[row].as_py()
            if text is None:
                continue
            if column.is_json:
                shown, label = search.without_in_json(text)
                whole = None
            else:
                whole = search.whole(text)
                shown, label = (text, whole) if whole else search.without(text)
            if label is None:
                continue
            erased.columns[column.name] += 1
            if whole or label in self._whole_rows or column.name == self._key:
                labels.setdefault(row, label)
            else:
                changed[row] = shown, label
        return changed

    def _examine_numbers(
        self, values: pa.Array, name: str, labels: dict[int, str], erased: Erased
    ) -> None:
        """Add the rows whose number is a subject; a number that identifies a row is none."""
        search = self._search_of(name)
        found = {
            value: label
            for value in pc.unique(values).drop_null().to_pylist()
            if (label := search.whole(str(value))) is not None
        }
        for row, value in enumerate(values.to_pylist()) if found else ():
            if value in found:
                labels.setdefault(row, found[value])
                erased.columns[name] += 1


def _with_texts(batch: pa.RecordBatch, name: str, texts: dict[int, str]) -> pa.RecordBatch:
    """The batch with other texts in some rows of a column."""
    if not texts:
        return batch
    position = batch.schema.get_field_index(name)
    mask = np.zeros(len(batch), bool)
    mask[list(texts)] = True
    by = pa.array([texts[row] for row in sorted(texts)], pa.string())
    column = pc.replace_with_mask(batch.column(position), pa.array(mask), by)
    return batch.set_column(position, batch.schema.field(position), column)
