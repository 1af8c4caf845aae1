"""The Dagster skin over the engine: assets, checks, IO manager, jobs and schedules.

Belongs here, one module per Dagster concept. Does not belong here: anything that decides what is
in a file; the engine does.
"""
