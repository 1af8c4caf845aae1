"""Datasets as Dagster assets: asset, checks, IO manager, partitions, jobs and schedules."""
