"""An asset that takes a dataset as its input."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from exporter_pipelines.orchestration.partitions import daily_partitions


@dg.asset(partitions_def=daily_partitions())
def errors_of_events(context: dg.AssetExecutionContext, events: pa.RecordBatchReader) -> None:
    """Counts the errors of a day."""
    errors = 0
    for batch in events:
        errors += pc.sum(pc.equal(batch["level"], "ERROR")).as_py() or 0
    context.add_output_metadata({"errors": errors})
