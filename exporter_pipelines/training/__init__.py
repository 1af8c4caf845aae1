"""Training sets: published days joined with labels, split by time, checked for leakage, written.

Belongs here: everything between published days and the files of a set, without Dagster.
Does not belong here: the settings of a set (`contracts.training_set`).
"""
