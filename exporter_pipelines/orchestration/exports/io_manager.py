"""Publishes staged days, and loads published days for downstream assets.

https://docs.dagster.io/guides/build/io-managers
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from exporter_pipelines import output_folder
from exporter_pipelines.contracts.manifest import Manifest
from exporter_pipelines.contracts.staged_day import Staging
from exporter_pipelines.contracts.store import Store
from exporter_pipelines.engine.load import open_days
from exporter_pipelines.engine.publish import JudgedDay, hold, publish
from exporter_pipelines.orchestration.exports.cancelling import cancel_delayed, deliver_cancel
from exporter_pipelines.orchestration.exports.exit_messages import errors_repeated_at_exit
from exporter_pipelines.orchestration.exports.run_presence import announce
from exporter_pipelines.process_memory import prefer_for_oom_kill
from exporter_pipelines.stores.opening import open_store


class ExportIOManager(dg.ConfigurableIOManager):
    """Publishes exports below EXPORTER_OUTPUT_URL, see docs/publishing.md.

    A downstream asset with a dataset as its input gets a `pyarrow.RecordBatchReader` over the rows
    of its day, or of its days in order. The rows are verified against the manifests. JSON columns
    are text.

    Example:
        @dg.asset(partitions_def=daily_partitions())
        def errors_per_day(logs: pa.RecordBatchReader): ...
    """

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Show until this process ends that the run is alive, so that `dead_runs` can see it."""
        if context.run and context.instance:
            announce(context.instance, context.run.run_id)
            prefer_for_oom_kill()

    def store(self) -> Store:
        """The store at EXPORTER_OUTPUT_URL, which is read when this is called."""
        return open_store()

    def begin(self, dataset: str, day: str) -> Staging:
        """Begin an attempt at a day; see `engine.export_day.DayWriter`."""
        with cancel_delayed():
            staging = self.store().begin(dataset, day)
        try:
            deliver_cancel()
        except BaseException:  # raised again; no one else has the staging area yet
            staging.discard()
            raise
        return staging

    def publish(self, judged: JudgedDay) -> Manifest:
        """Publish the data and the metadata of a day, in a run of one day and in a range.

        A cancel is delayed from here on, until the asset has recorded the day.
        """
        with cancel_delayed():
            manifest = publish(self.store(), judged)
        output_folder.remember_first(self.store(), sample=judged.sample)
        return manifest

    def hold(self, judged: JudgedDay) -> str | None:
        """Keep the quarantine of a held day. Delays a cancel like `publish`."""
        with cancel_delayed():
            return hold(self.store(), judged)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse the output of other assets. Exports call `publish` and pass no output here.

        Raises:
            dg.DagsterInvariantViolationError: always.
        """
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} returned a {type(obj).__name__}; the IO "
            "manager of this project publishes exports only. Return None (annotate -> None) "
            "and store the result yourself, or give the asset another io_manager_key."
        )

    def load_input(self, context: dg.InputContext) -> pa.RecordBatchReader:
        """The published rows of the input's partitions.

        Raises:
            DayNotPublishedError: one of the days has no export.
            PublishedDayDamagedError: one of them does not match its manifest.
        """
        dataset, days = context.asset_key.path[-1], list(context.asset_partition_keys)
        with errors_repeated_at_exit():
            reader = open_days(self.store(), dataset, days)

        def batches() -> Iterator[pa.RecordBatch]:
            with errors_repeated_at_exit():
                yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, batches())
