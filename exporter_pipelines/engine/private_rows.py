"""The rows of one day under the privacy policy of its dataset.

A stage after validation: rules judge real values, and nothing behind it sees one. Text is scanned
for the names that the day's own columns hold. So a policy that scans a column needs the rows twice:
first for the names, then to mask them. A small day is kept in memory meanwhile; a large one is read
twice from the same snapshot. The bytes do not depend on the size of batches.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from exporter_pipelines import settings
from exporter_pipelines.contracts.dataset import Dataset
from exporter_pipelines.contracts.day_window import DayWindow
from exporter_pipelines.contracts.manifest import Privacy, Transformation
from exporter_pipelines.contracts.privacy import REDACTED, PrivacyConfig, exported_under
from exporter_pipelines.contracts.row_schema import RowSchema
from exporter_pipelines.contracts.staged_day import MaskedValues
from exporter_pipelines.engine.published_order import PublishedOrder
from exporter_pipelines.engine.rejection import Rejection
from exporter_pipelines.engine.waiting_batches import JoinedBatches, KeptBatches
from exporter_pipelines.extras import require
from exporter_pipelines.transforms import transform_named


def private_rows(dataset: Dataset, schema: RowSchema, window: DayWindow) -> PrivateRows | None:
    """The stage for a dataset with a policy; None without one.

    Args:
        dataset: Names the policy.
        schema: Of the dataset, as bound to the source.
        window: The day.

    Raises:
        MissingExtraError: the packages that a policy needs are not installed.
        ConfigurationError: the key is missing, or cannot be used.
    """
    policy = dataset.config.privacy
    return None if policy is None else PrivateRows(dataset, policy, schema, window)


class PrivateRows:
    """Masks the rows of one day; see `private_rows`.

    Attributes:
        quarantine_schema: The columns of rejected rows, under the policy.
    """

    def __init__(
        self, dataset: Dataset, policy: PrivacyConfig, schema: RowSchema, window: DayWindow
    ) -> None:
        require("privacy")
        # A variable of Polars, which it reads at its first use: a column is searched by one thread,
        # and others only cost CPU time.
        os.environ.setdefault("POLARS_MAX_THREADS", "1")  # noqa: TID251
        # Only here: without the extra, everything else works.
        from exporter_pipelines.privacy.keys import key_ring
        from exporter_pipelines.privacy.masking import Masking, shown_in_quarantine
        from exporter_pipelines.privacy.pseudonyms import Counts

        keys = key_ring(policy, dataset.name, window.day, settings.privacy_key(policy.key))
        self._dataset, self._policy, self._schema = dataset, policy, schema
        self._selected = dataset.selected(schema)
        self._masking = Masking(policy, keys, window.start)
        self._counts, self._counts_of_rejected = Counts(), Counts()
        source = dataset.config.source
        self._order = PublishedOrder(
            exported_under(policy, self._selected), source.time_column, source.key
        )
        self._shown = shown_in_quarantine(policy, schema, self._selected)
        self.quarantine_schema = exported_under(policy, self._shown)
        self._joined = JoinedBatches()
        self._names_are_known = not self._masking.scans(schema)

    def rows(self, read: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """The rows of the day, as read; the names in all of them are known before the first.

        Args:
            read: Reads the day. Called again if the day is large and the policy scans a column.
        """
        if self._names_are_known:
            return read()
        kept = self._read_names(read())
        return kept.taken() if kept.has_all else read()

    def _read_names(self, batches: Iterable[pa.RecordBatch]) -> KeptBatches:
        """Remember the names in all rows of the day, as read and as transformed."""
        kept, joined = KeptBatches(), JoinedBatches()
        for batch in batches:
            kept.add(batch)
            for rows in joined.add(batch.select(self._schema.names)):
                self._collect(rows)
        for rows in joined.rest():
            self._collect(rows)
        return kept

    def _collect(self, rows: pa.RecordBatch) -> None:
        self._masking.collect(rows)
        transforms = self._dataset.config.transforms
        for entry in transforms:
            rows = transform_named(entry, self._schema)(rows, Counter())
        if transforms:
            self._masking.collect(rows)

    def mask(self, valid: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The valid rows of a batch, or of those before it; the last ones come from `rest`."""
        if self._names_are_known:
            self._masking.collect(valid)
        for rows in self._joined.add(valid):
            yield from self._masked(rows)

    def rest(self) -> Iterator[pa.RecordBatch]:
        """The rows that waited for a next batch."""
        for rows in self._joined.rest():
            yield from self._masked(rows)
        yield from self._order.finish()

    def _masked(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        return self._order.add(self._masking.mask(rows, self._selected, self._counts))

    def rejected(
        self, batch: pa.RecordBatch, rejections: list[Rejection]
    ) -> tuple[pa.RecordBatch, list[Rejection]]:
        """Rejected rows and their reasons under the policy.

        A value that broke a rule may be anything, so it is shown only if its column is kept.

        Args:
            batch: As read.
            rejections: Their `row` is a position in `batch`.
        """
        rows = sorted({rejection.row for rejection in rejections})
        taken = batch.take(pa.array(rows, pa.int64()))
        if self._names_are_known:
            self._masking.collect(taken)
        masked = self._masking.mask(taken, self._shown, self._counts_of_rejected)
        position = {row: i for i, row in enumerate(rows)}
        return masked, [
            each._replace(row=position[each.row], value=self._shown_value(each))
            for each in rejections
        ]

    def _shown_value(self, rejection: Rejection) -> str | None:
        if rejection.value is None or rejection.column is None:
            return rejection.value
        policy = self._policy.of(rejection.column)
        return rejection.value if policy and policy.action == "keep" else REDACTED

    def transformations(self, applied: Iterable[Transformation]) -> tuple[Transformation, ...]:
        """Transformations without parameters, which may name a value of a row."""
        return tuple(each.model_copy(update={"params": {}}) for each in applied)

    def stated(self) -> Privacy:
        """What the manifest says about the policy."""
        keys = self._masking.keys
        columns = {
            column.name: policy.title if (policy := self._policy.of(column.name)) else "unlisted"
            for column in self._selected.columns
        }
        return Privacy(
            policy_version=1,
            key_id=keys.key_id,
            epoch=keys.epoch,
            scope=keys.scope,
            columns=columns,
            replaced=dict(sorted(self._counts.replaced.items())),
        )

    def masked_values(self) -> MaskedValues:
        """What the leak check looks for in the staged files."""
        names = self._masking.names
        return MaskedValues(
            names=names.kinds,
            unsearched=names.unsearched,
            addresses=self._masking.pseudonyms.raw_addresses,
            written=self._counts.addresses,
            written_rejected=self._counts_of_rejected.addresses,
            rejected_schema=self.quarantine_schema,
        )
