"""Public path of `daily_partitions`, which 0.1.0 projects name; the code is in `exports`."""

from exporter_pipelines.orchestration.exports.partitions import daily_partitions

__all__ = ["daily_partitions"]
