"""Publishes staged days, and gives published days to downstream assets.

https://docs.dagster.io/guides/build/io-managers
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pyarrow as pa

from exporter_pipelines import settings
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.staged_day import StagedDay
from exporter_pipelines.engine.load import open_days
from exporter_pipelines.engine.publish import hold, publish
from exporter_pipelines.orchestration.exports.cancelling import cancel_waits, deliver_cancel
from exporter_pipelines.orchestration.exports.last_words import remembered
from exporter_pipelines.orchestration.exports.metadata import day_metadata
from exporter_pipelines.stores.local.run_locks import hold_run
from exporter_pipelines.stores.local.store import LocalStaging, LocalStore


class ExportIOManager(dg.ConfigurableIOManager):
    """Exports below EXPORTER_OUTPUT_URL: how days are published, see docs/architecture.md.

    A downstream asset that takes a dataset as its input gets a `pyarrow.RecordBatchReader` over
    the rows of its day, or of its days in order, verified against the manifests. JSON columns
    arrive as text.

    Example:
        @dg.asset(partitions_def=daily_partitions())
        def errors_per_day(logs: pa.RecordBatchReader): ...
    """

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Show, as long as this process lives, that the run is worked on; see `dead_runs`."""
        if context.run:
            hold_run(settings.output_root(), context.run.run_id)

    def store(self) -> LocalStore:
        """Where exports lie; read when a run starts."""
        return LocalStore(settings.output_root())

    @contextmanager
    def staging(self, dataset: str, day: str) -> Iterator[LocalStaging]:
        """A staging area for one attempt at a day, discarded on every exit."""
        staging = None
        try:
            with cancel_waits():
                staging = self.store().begin(dataset, day)
            deliver_cancel()
            yield staging
        finally:
            if staging:
                staging.discard()

    def publish(self, staged: StagedDay) -> Manifest:
        """Publish one day; `handle_output` and ranged runs both come through here.

        A cancel waits, so that the day can be recorded; the asset delivers it afterwards.
        """
        with cancel_waits():
            return publish(staged)

    def hold(self, staged: StagedDay) -> Path | None:
        """Keep the quarantine of a day that must not be published."""
        with cancel_waits():
            return hold(staged)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Publish the day that an export asset staged."""
        if not isinstance(obj, StagedDay):
            raise dg.DagsterInvariantViolationError(
                f"{context.asset_key.to_user_string()} returned a {type(obj).__name__}; the IO "
                "manager of this project publishes exports only. Return None (annotate -> None) "
                "and store the result yourself, or give the asset another io_manager_key."
            )
        try:
            with remembered():
                manifest = self.publish(obj)
        finally:
            # Dagster does not tell the asset, and drops its generator when it happens to.
            obj.staging.discard()
        context.add_output_metadata(day_metadata(manifest, self.store()))

    def load_input(self, context: dg.InputContext) -> pa.RecordBatchReader:
        """The published rows of the input's partitions.

        Raises:
            DayNotPublishedError: one of the days has no export.
            PublishedDayDamagedError: one of them does not match its manifest.
        """
        dataset, days = context.asset_key.path[-1], list(context.asset_partition_keys)
        with remembered():
            reader = open_days(self.store(), dataset, days)

        def batches() -> Iterator[pa.RecordBatch]:
            with remembered():
                yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, batches())
