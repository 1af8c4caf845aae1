"""The nouns that every other room shares: dataset, day window, tally, staged day, manifest.

Belongs here: plain data with its own arithmetic and validation.
Does not belong here: any reading, writing or connecting; anything that knows Dagster.
"""
