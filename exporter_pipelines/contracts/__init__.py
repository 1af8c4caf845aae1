"""The types that all other packages share: dataset, day window, tally, staged day, manifest.

Belongs here: plain data with its arithmetic and validation, and protocols.
Does not belong here: any reading, writing or connecting; anything that knows Dagster.
"""
