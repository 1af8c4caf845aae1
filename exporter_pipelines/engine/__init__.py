"""From rows to a published day.

    stage    read, transform, validate, encode and write, in one pass with bounded memory
    judge    the tally against the dataset's limits: publish or hold
    publish  compare and swap the day; or keep a held day's quarantine
    load     read a published day back, verified

Belongs here: the loop and its promises. Does not belong here: any dataset by name; Dagster.
"""
