"""The export report as a Dagster asset, with the job and the sensor that render it."""
