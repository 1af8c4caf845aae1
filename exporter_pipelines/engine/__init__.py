"""Exports one day, from rows in a database to published files (`export_day`).

    stage    read, transform, validate, encode and write, in one pass with bounded memory
    judge    compare the tally with the dataset's limits: publish or hold
    publish  switch to the new day, or keep the quarantine of a held day
    load     read a published day, verified

Belongs here: the steps of an export. Does not belong here: any dataset by name; Dagster.
"""
