"""Finds what there is to tell, as Dagster sensors.

https://docs.dagster.io/guides/automate/sensors
"""
