"""Keeps erased subjects out of a day that is exported again.

It is the last stage before rows are written, so that it finds and removes what `exporter erase`
finds and removes in published files: rules and filters have judged the real rows, and a row has the
same fate in both. Under a privacy policy the published rows have pseudonyms. So subjects are
recognised in the raw rows, by their tombstones, and their pseudonyms are removed.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.erasure import Erasure
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.tally import UNNAMED_VALUE, Tally
from exporter_pipelines.engine.erased_subjects import ErasedSubjects
from exporter_pipelines.engine.rejection import Rejection


class ErasedRows:
    """Erases subjects from the rows of one day.

    Args:
        subjects: That must not be exported.
        dataset, window: What is exported.
    """

    def __init__(self, subjects: ErasedSubjects, dataset: Dataset, window: DayWindow) -> None:
        from exporter_pipelines.privacy.erasing import Erasing
        from exporter_pipelines.privacy.keys import key_ring
        from exporter_pipelines.privacy.subject_lookup import HashedSubjects, KnownSubjects

        policy, key = dataset.config.privacy, dataset.config.source.key
        self._subjects, self._policy = subjects, policy
        self._hashed = HashedSubjects(subjects.tombstones)
        whole = {each.label for each in subjects.tombstones if each.subject.whole_rows}
        self._raw = self._erasing = Erasing(self._hashed, key=key, whole_rows=whole)
        if policy is not None:
            self._keys = key_ring(
                policy, dataset.name, window.day, settings.privacy_key(policy.key)
            )
            self._kept, self._masked = KnownSubjects(), KnownSubjects()
            self._erasing = Erasing(
                self._kept, self._masked, policy.masked, key=key, whole_rows=whole
            )

    def look_at(self, raw: pa.RecordBatch, schema: RowSchema) -> None:
        """Recognise the subjects in raw rows; under a policy, before they are masked."""
        if self._policy is None or not len(raw):
            return
        from exporter_pipelines.privacy.erasing import Erased
        from exporter_pipelines.privacy.subject_lookup import add_masked

        before = len(self._hashed.found)
        self._raw.rows_with_subjects(raw, schema, Erased())
        for subject, label in list(self._hashed.found.items())[before:]:
            self._kept.add(subject, label)
            add_masked(self._masked, subject, label, self._policy, self._keys)

    def exported(self, rows: pa.RecordBatch, schema: RowSchema, tally: Tally) -> pa.RecordBatch:
        """The rows to write, without subjects; what is left out is counted as erased."""
        from exporter_pipelines.privacy.erasing import Erased

        erased = Erased()
        kept, removed = self._erasing.erase(rows, schema, erased)
        tally.rows_exported -= len(removed)
        tally.rows_erased.update(erased.rows)
        tally.values_erased.update(erased.values)
        uncount_values(removed, tally.values)
        return kept

    def rejected(
        self, rows: pa.RecordBatch, schema: RowSchema, rejections: list[Rejection], tally: Tally
    ) -> tuple[set[int], list[Rejection]]:
        """The rows that are not quarantined either, and the rejections of all others.

        Args:
            rows: As they would be quarantined.
            schema: Of these rows.
            rejections: Their `row` is a position in `rows`.
            tally: What is left out is counted as erased.
        """
        from exporter_pipelines.privacy.erasing import Erased

        wanted = sorted({each.row for each in rejections})
        some = rows.take(pa.array(wanted, pa.int64()))
        found = self._erasing.rows_with_subjects(some, schema, Erased())
        labels = {wanted[row]: label for row, label in found.items()}
        for each in rejections:
            label = self._erasing.is_quarantined_value(each.column, each.value)
            if label is not None:
                labels.setdefault(each.row, label)
        tally.rows_erased.update(labels.values())
        return set(labels), [each for each in rejections if each.row not in labels]

    def stated(self, tally: Tally) -> tuple[Erasure, ...]:
        """What the manifest says."""
        requests = dict.fromkeys([*tally.rows_erased, *tally.values_erased])
        return tuple(
            Erasure(
                request=request,
                rows=tally.rows_erased[request],
                values=tally.values_erased[request],
                at=self._subjects.times[request],
            )
            for request in sorted(requests)
        )


def uncount_values(removed: pa.RecordBatch, values: Counter[tuple[str, str]]) -> None:
    """Take the values of removed rows out of `Tally.values`."""
    counted = {column for column, _ in values}
    for column in counted & set(removed.schema.names):
        for entry in pc.value_counts(removed[column]).to_pylist():
            value = entry["values"]
            name = (column, value) if (column, value) in values else (column, UNNAMED_VALUE)
            if value is not None and name in values:
                values[name] = max(0, values[name] - entry["counts"])
