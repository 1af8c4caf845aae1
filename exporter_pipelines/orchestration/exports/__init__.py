"""Datasets as Dagster assets: assets, checks, IO manager, partitions, jobs and schedules."""
